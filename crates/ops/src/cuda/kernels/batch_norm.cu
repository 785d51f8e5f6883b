// Batch norm over the rows of (rows, channels), also with ReLU.
//
// Blocks are (channels, rows) and the grid (tiles of channels, chunks of rows), so that a thread keeps its channel and
// a warp reads neighbours. Sums go over two kernels, chunk by chunk and then over the chunks in double precision: no
// atomics, the same bits every time.

struct Rows { // the rows of a thread
    unsigned first, end;
    __device__ Rows(unsigned rows, unsigned chunk_rows)
        : first(blockIdx.y * chunk_rows + threadIdx.y), end(min(rows, (blockIdx.y + 1) * chunk_rows)) {}
};

// Sums of x - pivot and of its square; the pivot, the channel's first number, keeps the variance from cancelling.
extern "C" __global__ void moments_partial(
    const float *x, unsigned rows, unsigned channels, unsigned chunk_rows, double *partial)
{
    unsigned c = blockIdx.x * blockDim.x + threadIdx.x;
    Rows own(rows, chunk_rows);
    float sum = 0.0f, square = 0.0f;
    if (c < channels) {
        float pivot = x[c];
        for (unsigned row = own.first; row < own.end; row += blockDim.y) {
            float deviation = x[row * channels + c] - pivot;
            sum += deviation;
            square += deviation * deviation;
        }
    }
    write_partial(sum, square, c, channels, partial);
}

// Mean and 1 / sqrt(variance + eps) of the batch, and the running statistics moved towards it (unbiased variance).
extern "C" __global__ void moments_final(
    const float *x, const double *partial, unsigned chunks, unsigned rows, unsigned channels, double eps,
    double momentum, float *running_mean, float *running_var, float *mean, float *inverse)
{
    unsigned c = blockIdx.x * blockDim.x + threadIdx.x;
    double sum, square;
    read_partial(partial, chunks, c, channels, sum, square);
    if (threadIdx.y == 0 && c < channels) {
        double shift = sum / rows;
        double variance = square / rows - shift * shift;
        variance = variance < 0.0 ? 0.0 : variance;
        double average = (double)x[c] + shift;
        mean[c] = (float)average;
        inverse[c] = (float)(1.0 / sqrt(variance + eps));
        double unbiased = variance * ((double)rows / (rows - 1));
        running_mean[c] = (float)((1.0 - momentum) * running_mean[c] + momentum * average);
        running_var[c] = (float)((1.0 - momentum) * running_var[c] + momentum * unbiased);
    }
}

// The same from the running statistics.
extern "C" __global__ void running_statistics(
    const float *running_mean, const float *running_var, double eps, unsigned channels, float *mean, float *inverse)
{
    FOR_EACH(c, channels) {
        mean[c] = running_mean[c];
        inverse[c] = (float)(1.0 / sqrt((double)running_var[c] + eps));
    }
}

extern "C" __global__ void normalize(
    const float *x, const float *mean, const float *inverse, const float *weight, const float *bias, unsigned relu,
    unsigned rows, unsigned channels, unsigned chunk_rows, float *y)
{
    unsigned c = blockIdx.x * blockDim.x + threadIdx.x;
    if (c >= channels)
        return;
    Rows own(rows, chunk_rows);
    float center = mean[c], scale = weight[c] * inverse[c], shift = bias[c];
    for (unsigned row = own.first; row < own.end; row += blockDim.y) {
        unsigned i = row * channels + c;
        float value = (x[i] - center) * scale + shift;
        y[i] = relu && value <= 0.0f ? 0.0f : value;
    }
}

// Sums of the gradient, and of the gradient times the deviation from the mean. Where ReLU is closed there is none.
extern "C" __global__ void gradient_partial(
    const float *x, const float *dy, const float *mean, const float *inverse, const float *weight, const float *bias,
    unsigned relu, unsigned rows, unsigned channels, unsigned chunk_rows, double *partial)
{
    unsigned c = blockIdx.x * blockDim.x + threadIdx.x;
    Rows own(rows, chunk_rows);
    float sum = 0.0f, product = 0.0f;
    if (c < channels) {
        float center = mean[c], scale = weight[c] * inverse[c], shift = bias[c];
        for (unsigned row = own.first; row < own.end; row += blockDim.y) {
            unsigned i = row * channels + c;
            float deviation = x[i] - center;
            float gradient = relu && deviation * scale + shift <= 0.0f ? 0.0f : dy[i];
            sum += gradient;
            product += gradient * deviation;
        }
    }
    write_partial(sum, product, c, channels, partial);
}

// Gradients of weight and bias, and how the input's depends on the deviation: slope * deviation + offset, both 0 when
// the statistics are not the batch's.
extern "C" __global__ void gradient_final(
    const double *partial, unsigned chunks, const float *inverse, const float *weight, unsigned train, unsigned rows,
    unsigned channels, float *slope, float *offset, float *d_weight, float *d_bias)
{
    unsigned c = blockIdx.x * blockDim.x + threadIdx.x;
    double sum, product;
    read_partial(partial, chunks, c, channels, sum, product);
    if (threadIdx.y == 0 && c < channels) {
        double scale = (double)weight[c] * inverse[c] / rows;
        slope[c] = train ? (float)(-scale * inverse[c] * inverse[c] * product) : 0.0f;
        offset[c] = train ? (float)(-scale * sum) : 0.0f;
        d_weight[c] = (float)(product * inverse[c]);
        d_bias[c] = (float)sum;
    }
}

extern "C" __global__ void gradient_of_input(
    const float *x, const float *dy, const float *mean, const float *inverse, const float *weight, const float *bias,
    const float *slope, const float *offset, unsigned relu, unsigned rows, unsigned channels, unsigned chunk_rows,
    float *dx)
{
    unsigned c = blockIdx.x * blockDim.x + threadIdx.x;
    if (c >= channels)
        return;
    Rows own(rows, chunk_rows);
    float center = mean[c], scale = weight[c] * inverse[c], shift = bias[c];
    float incline = slope[c], constant = offset[c];
    for (unsigned row = own.first; row < own.end; row += blockDim.y) {
        unsigned i = row * channels + c;
        float deviation = x[i] - center;
        float gradient = relu && deviation * scale + shift <= 0.0f ? 0.0f : dy[i];
        dx[i] = gradient * scale + deviation * incline + constant;
    }
}
