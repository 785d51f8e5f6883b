// Structural similarity of NHWC images and its gradient, by a separable window.
//
// The host prepends RADIUS, TAPS and WINDOW, the normalised weights. A block of 16x16 threads computes a tile of one
// channel of one image: it loads the tile with a margin, zero outside the image, runs the window along the rows and
// then down the columns.

#define TILE 16
#define PATCH (TILE + 2 * RADIUS)

// Where a block works: its tile's corner, and the start and stride of its channel.
struct Place {
    int top, left;
    unsigned origin, channels, height, width;
    __device__ Place(unsigned height, unsigned width, unsigned channels)
        : channels(channels), height(height), width(width)
    {
        unsigned across = (width + TILE - 1) / TILE, down = (height + TILE - 1) / TILE;
        unsigned tile = blockIdx.x % (across * down), layer = blockIdx.x / (across * down);
        left = tile % across * TILE;
        top = tile / across * TILE;
        origin = layer / channels * height * width * channels + layer % channels;
    }
    __device__ bool inside(int y, int x) const { return y >= 0 && x >= 0 && y < (int)height && x < (int)width; }
    __device__ unsigned at(int y, int x) const { return origin + (y * width + x) * channels; }
    __device__ void load(const float *image, float (*patch)[PATCH]) const
    {
        for (unsigned i = threadIdx.y * TILE + threadIdx.x; i < PATCH * PATCH; i += BLOCK) {
            int row = i / PATCH, column = i % PATCH, y = top + row - RADIUS, x = left + column - RADIUS;
            patch[row][column] = inside(y, x) ? image[at(y, x)] : 0.0f;
        }
    }
};

__device__ float down_column(float (*rows)[TILE])
{
    float sum = 0.0f;
    for (int tap = 0; tap < TAPS; tap++)
        sum += WINDOW[tap] * rows[threadIdx.y + tap][threadIdx.x];
    return sum;
}

// The smallest and largest number of each block.
extern "C" __global__ void extremes_partial(const float *x, unsigned count, float *lowest, float *highest)
{
    __shared__ float low[BLOCK], high[BLOCK];
    float least = __int_as_float(0x7f800000), most = -least; // infinity
    FOR_EACH(i, count) {
        least = fminf(least, x[i]);
        most = fmaxf(most, x[i]);
    }
    low[threadIdx.x] = least;
    high[threadIdx.x] = most;
    __syncthreads();
    for (unsigned half = BLOCK / 2; half > 0; half /= 2) {
        if (threadIdx.x < half) {
            low[threadIdx.x] = fminf(low[threadIdx.x], low[threadIdx.x + half]);
            high[threadIdx.x] = fmaxf(high[threadIdx.x], high[threadIdx.x + half]);
        }
        __syncthreads();
    }
    if (threadIdx.x == 0) {
        lowest[blockIdx.x] = low[0];
        highest[blockIdx.x] = high[0];
    }
}

// C1 and C2 for the dynamic range by DRAEM's rule, or for range 1 when there are no extremes. One thread.
extern "C" __global__ void stabilizers(const float *lowest, const float *highest, unsigned count, float *result)
{
    float low = 0.0f, high = 1.0f;
    for (unsigned i = 0; i < count; i++) {
        low = fminf(low, lowest[i]);
        high = fmaxf(high, highest[i]);
    }
    double range = (high > 128.0f ? 255.0 : 1.0) - (low < -0.5f ? -1.0 : 0.0);
    result[0] = (float)(0.01 * range * (0.01 * range));
    result[1] = (float)(0.03 * range * (0.03 * range));
}

// Sums of the similarity, and its derivatives by the windowed means of a, b, a^2 and b^2, ab: four maps of `count`
// numbers, unless `slopes` is null.
extern "C" __global__ void ssim_forward(
    const float *a, const float *b, const float *constants, unsigned height, unsigned width, unsigned channels,
    unsigned count, float *slopes, double *partial)
{
    __shared__ float first[PATCH][PATCH], second[PATCH][PATCH];
    __shared__ float along[5][PATCH][TILE];
    Place place(height, width, channels);
    place.load(a, first);
    place.load(b, second);
    __syncthreads();
    for (unsigned i = threadIdx.y * TILE + threadIdx.x; i < PATCH * TILE; i += BLOCK) {
        unsigned row = i / TILE, column = i % TILE;
        float sums[5] = {0.0f, 0.0f, 0.0f, 0.0f, 0.0f};
        for (int tap = 0; tap < TAPS; tap++) {
            float u = first[row][column + tap], v = second[row][column + tap];
            float weighted_u = WINDOW[tap] * u, weighted_v = WINDOW[tap] * v;
            sums[0] += weighted_u;
            sums[1] += weighted_v;
            sums[2] += weighted_u * u;
            sums[3] += weighted_v * v;
            sums[4] += weighted_u * v;
        }
        for (int k = 0; k < 5; k++)
            along[k][row][column] = sums[k];
    }
    __syncthreads();
    double similarity_here = 0.0;
    int y = place.top + threadIdx.y, x = place.left + threadIdx.x;
    if (place.inside(y, x)) {
        float mean1 = down_column(along[0]), mean2 = down_column(along[1]);
        float square1 = down_column(along[2]), square2 = down_column(along[3]);
        float product = down_column(along[4]);
        float c1 = constants[0], c2 = constants[1];
        float a1 = 2.0f * (mean1 * mean2) + c1, a2 = 2.0f * (product - mean1 * mean2) + c2;
        float b1 = mean1 * mean1 + mean2 * mean2 + c1;
        float b2 = (square1 - mean1 * mean1) + (square2 - mean2 * mean2) + c2;
        float similarity = a1 * a2 / (b1 * b2);
        similarity_here = similarity;
        if (slopes) {
            float da1 = a2 / (b1 * b2), da2 = a1 / (b1 * b2), db1 = -similarity / b1, db2 = -similarity / b2;
            float cross = 2.0f * (da1 - da2), own = 2.0f * (db1 - db2);
            unsigned i = place.at(y, x);
            slopes[i] = mean2 * cross + mean1 * own;
            slopes[count + i] = mean1 * cross + mean2 * own;
            slopes[2 * count + i] = db2;
            slopes[3 * count + i] = 2.0f * da2;
        }
    }
    similarity_here = block_sum(similarity_here);
    if (threadIdx.x == 0 && threadIdx.y == 0)
        partial[blockIdx.x] = similarity_here;
}

// factor * gradient of the loss * derivative of the summed similarity by `image`, whose partner is `other`. `mean` is
// the image's own map of `slopes`.
extern "C" __global__ void ssim_backward(
    const float *image, const float *other, const float *mean, const float *square, const float *product,
    const float *gradient, float factor, unsigned height, unsigned width, unsigned channels, float *d_image)
{
    __shared__ float patch[PATCH][PATCH];
    __shared__ float along[3][PATCH][TILE];
    const float *maps[3] = {mean, square, product};
    Place place(height, width, channels);
    for (int k = 0; k < 3; k++) {
        place.load(maps[k], patch);
        __syncthreads();
        for (unsigned i = threadIdx.y * TILE + threadIdx.x; i < PATCH * TILE; i += BLOCK) {
            unsigned row = i / TILE, column = i % TILE;
            float sum = 0.0f;
            for (int tap = 0; tap < TAPS; tap++)
                sum += WINDOW[tap] * patch[row][column + tap];
            along[k][row][column] = sum;
        }
        __syncthreads();
    }
    int y = place.top + threadIdx.y, x = place.left + threadIdx.x;
    if (place.inside(y, x)) {
        unsigned i = place.at(y, x);
        float scale = factor * *gradient;
        d_image[i] = scale
            * (down_column(along[0]) + 2.0f * image[i] * down_column(along[1]) + other[i] * down_column(along[2]));
    }
}
