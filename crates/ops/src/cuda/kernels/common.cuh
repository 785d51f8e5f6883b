// Prepended to every kernel file: loops over elements and pixels, and sums in a fixed order.
//
// Counts are below 2^31 (the host checks), so unsigned indices and their strides do not overflow. Every block has 256
// threads, `BLOCK`, in one row for elements, or as (lanes over channels, pixels) for NHWC images.

#define BLOCK 256

#define FOR_EACH(i, count) \
    for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < (count); i += gridDim.x * blockDim.x)

#define FOR_EACH_PIXEL(p, count) \
    for (unsigned p = blockIdx.x * blockDim.y + threadIdx.y; p < (count); p += gridDim.x * blockDim.y)

#define FOR_EACH_CHANNEL(c, count) for (unsigned c = threadIdx.x; c < (count); c += blockDim.x)

// Sum over the threads of the block, the same bits every time; all threads get it.
__device__ double block_sum(double value)
{
    __shared__ double parts[BLOCK];
    unsigned thread = threadIdx.y * blockDim.x + threadIdx.x;
    parts[thread] = value;
    __syncthreads();
    for (unsigned half = BLOCK / 2; half > 0; half /= 2) {
        if (thread < half)
            parts[thread] += parts[thread + half];
        __syncthreads();
    }
    double total = parts[0];
    __syncthreads(); // the parts may be used again
    return total;
}

// Sums two columns over threadIdx.y, whose extent is a power of two; threadIdx.y == 0 gets the sums.
__device__ void sum_down(double &a, double &b)
{
    __shared__ double first[BLOCK], second[BLOCK];
    unsigned thread = threadIdx.y * blockDim.x + threadIdx.x;
    first[thread] = a;
    second[thread] = b;
    __syncthreads();
    for (unsigned half = blockDim.y / 2; half > 0; half /= 2) {
        if (threadIdx.y < half) {
            first[thread] += first[thread + half * blockDim.x];
            second[thread] += second[thread + half * blockDim.x];
        }
        __syncthreads();
    }
    a = first[thread];
    b = second[thread];
}

// Leaves this block's two sums of channel `c` in `partial` (row chunks, 2, channels).
__device__ void write_partial(double a, double b, unsigned c, unsigned channels, double *partial)
{
    sum_down(a, b);
    if (threadIdx.y == 0 && c < channels) {
        partial[2 * blockIdx.y * channels + c] = a;
        partial[(2 * blockIdx.y + 1) * channels + c] = b;
    }
}

// The totals of `write_partial`'s sums; threadIdx.y == 0 gets them. Called by all threads of the block.
__device__ void read_partial(
    const double *partial, unsigned chunks, unsigned c, unsigned channels, double &a, double &b)
{
    a = 0.0;
    b = 0.0;
    if (c < channels)
        for (unsigned chunk = threadIdx.y; chunk < chunks; chunk += blockDim.y) {
            a += partial[2 * chunk * channels + c];
            b += partial[(2 * chunk + 1) * channels + c];
        }
    sum_down(a, b);
}

// offset + factor * sum of `partial`, by one block.
extern "C" __global__ void finish_mean(
    const double *partial, unsigned count, double offset, double factor, float *result)
{
    double sum = 0.0;
    FOR_EACH(i, count)
        sum += partial[i];
    sum = block_sum(sum);
    if (threadIdx.x == 0)
        *result = (float)(offset + factor * sum);
}
