// Batch norm over the rows of (rows, channels), also with ReLU.
//
// Blocks are (packs of channels, rows) and the grid (tiles of packs, chunks of rows), so that a thread keeps its channels
// and a warp reads neighbours. Sums go over two kernels, chunk by chunk and then over the chunks in double precision: no
// atomics, the same bits every time.

struct Rows { // the rows of a thread
    unsigned first, end;
    __device__ Rows(unsigned rows, unsigned chunk_rows)
        : first(blockIdx.y * chunk_rows + threadIdx.y), end(min(rows, (blockIdx.y + 1) * chunk_rows)) {}
};

// How a thread's channels are normalised: (x - center) * scale + shift.
struct Map {
    Floats center, scale, shift;
    __device__ Map(
        const float *mean, const float *inverse, const float *weight, const float *bias, unsigned p)
        : center(mean, p), scale(weight, p), shift(bias, p)
    {
        EACH_LANE(k)
            scale.lanes[k] *= inverse[p * LANES + k];
    }
    __device__ float deviation(float x, int k) const { return x - center.lanes[k]; }
    // Forward and backward passes must agree on where ReLU is closed, so both ask this.
    __device__ float value(float deviation, int k) const { return deviation * scale.lanes[k] + shift.lanes[k]; }
};

// Sums of x - pivot and of its square; the pivot, the channel's first number, keeps the variance from cancelling.
extern "C" __global__ void moments_partial(
    const Pack *__restrict__ x, unsigned rows, unsigned packs, unsigned chunk_rows, double *partial)
{
    unsigned p = blockIdx.x * blockDim.x + threadIdx.x;
    Rows own(rows, chunk_rows);
    float sum[LANES] = {}, square[LANES] = {};
    if (p < packs) {
        Floats pivot(x[p]);
#pragma unroll 4
        for (unsigned row = own.first; row < own.end; row += blockDim.y) {
            Floats values(x[row * packs + p]);
            EACH_LANE(k) {
                float deviation = values.lanes[k] - pivot.lanes[k];
                sum[k] += deviation;
                square[k] += deviation * deviation;
            }
        }
    }
    write_partial(sum, square, p, packs, partial);
}

// Mean and 1 / sqrt(variance + eps) of the batch, and the running statistics moved towards it (unbiased variance). Where
// `left_out` is an address, x lacks those biases: they move the running mean and nothing else.
extern "C" __global__ void moments_final(
    const NUMBER *x, const double *partial, unsigned chunks, unsigned rows, unsigned channels, double eps,
    double momentum, const float *left_out, float *running_mean, float *running_var, float *mean, float *inverse)
{
    unsigned c = blockIdx.x * blockDim.x + threadIdx.x;
    double sum, square;
    read_partial(partial, chunks, c, channels, sum, square);
    if (threadIdx.y == 0 && c < channels) {
        double shift = sum / rows;
        double variance = square / rows - shift * shift;
        variance = variance < 0.0 ? 0.0 : variance;
        double average = (double)widened(x[c]) + shift;
        mean[c] = (float)average;
        inverse[c] = (float)(1.0 / sqrt(variance + eps));
        if (left_out)
            average += left_out[c];
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
    const Pack *__restrict__ x, const float *mean, const float *inverse, const float *weight, const float *bias,
    unsigned relu, unsigned rows, unsigned packs, unsigned chunk_rows, Pack *__restrict__ y)
{
    unsigned p = blockIdx.x * blockDim.x + threadIdx.x;
    if (p >= packs)
        return;
    Rows own(rows, chunk_rows);
    Map map(mean, inverse, weight, bias, p);
#pragma unroll 4
    for (unsigned row = own.first; row < own.end; row += blockDim.y) {
        unsigned i = row * packs + p;
        Floats values(x[i]);
        EACH_LANE(k) {
            float value = map.value(map.deviation(values.lanes[k], k), k);
            values.lanes[k] = relu && value <= 0.0f ? 0.0f : value;
        }
        y[i] = values.pack();
    }
}

// Sums of the gradient, and of the gradient times the deviation from the mean. Where ReLU is closed there is none.
extern "C" __global__ void gradient_partial(
    const Pack *__restrict__ x, const Pack *__restrict__ dy, const float *mean, const float *inverse,
    const float *weight, const float *bias, unsigned relu, unsigned rows, unsigned packs, unsigned chunk_rows,
    double *partial)
{
    unsigned p = blockIdx.x * blockDim.x + threadIdx.x;
    Rows own(rows, chunk_rows);
    float sum[LANES] = {}, product[LANES] = {};
    if (p < packs) {
        Map map(mean, inverse, weight, bias, p);
#pragma unroll 4
        for (unsigned row = own.first; row < own.end; row += blockDim.y) {
            unsigned i = row * packs + p;
            Floats values(x[i]), gradients(dy[i]);
            EACH_LANE(k) {
                float deviation = map.deviation(values.lanes[k], k);
                float gradient = relu && map.value(deviation, k) <= 0.0f ? 0.0f : gradients.lanes[k];
                sum[k] += gradient;
                product[k] += gradient * deviation;
            }
        }
    }
    write_partial(sum, product, p, packs, partial);
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
    const Pack *__restrict__ x, const Pack *__restrict__ dy, const float *mean, const float *inverse,
    const float *weight, const float *bias, const float *slope, const float *offset, unsigned relu, unsigned rows,
    unsigned packs, unsigned chunk_rows, Pack *__restrict__ dx)
{
    unsigned p = blockIdx.x * blockDim.x + threadIdx.x;
    if (p >= packs)
        return;
    Rows own(rows, chunk_rows);
    Map map(mean, inverse, weight, bias, p);
    Floats incline(slope, p), constant(offset, p);
#pragma unroll 4
    for (unsigned row = own.first; row < own.end; row += blockDim.y) {
        unsigned i = row * packs + p;
        Floats values(x[i]), gradients(dy[i]);
        EACH_LANE(k) {
            float deviation = map.deviation(values.lanes[k], k);
            float gradient = relu && map.value(deviation, k) <= 0.0f ? 0.0f : gradients.lanes[k];
            values.lanes[k] = gradient * map.scale.lanes[k] + deviation * incline.lanes[k] + constant.lanes[k];
        }
        dx[i] = values.pack();
    }
}
