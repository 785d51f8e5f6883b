// The order of filters. Variables hold them as PyTorch does, (out, in, taps); cuDNN's NHWC kernels want (out, taps, in),
// for bfloat16 with counts of channels that are multiples of eight.
//
// A block brings `TILE` inputs of one output through shared memory, so that both sides are read and written in rows.

#define TILE 64
#define MOST_TAPS 49

template <class T>
__device__ void to_channels_last(
    const float *__restrict__ filters, T *__restrict__ result, unsigned outputs, unsigned inputs, unsigned taps,
    unsigned padded)
{
    __shared__ float tile[TILE * MOST_TAPS];
    unsigned output = blockIdx.y, first = blockIdx.x * TILE;
    unsigned there = first < inputs && output < outputs ? min(inputs - first, TILE) : 0;
    for (unsigned i = threadIdx.x; i < there * taps; i += BLOCK)
        tile[i] = filters[(output * inputs + first) * taps + i];
    __syncthreads();
    unsigned wide = min(padded - first, TILE);
    for (unsigned i = threadIdx.x; i < wide * taps; i += BLOCK) {
        unsigned tap = i / wide, input = i % wide;
        result[(output * taps + tap) * padded + first + input]
            = rounded<T>(input < there ? tile[input * taps + tap] : 0.0f);
    }
}

extern "C" __global__ void filters_to_channels_last(
    const float *filters, float *result, unsigned outputs, unsigned inputs, unsigned taps, unsigned padded)
{
    to_channels_last(filters, result, outputs, inputs, taps, padded);
}

extern "C" __global__ void filters_to_channels_last_bf16(
    const float *filters, bf16 *result, unsigned outputs, unsigned inputs, unsigned taps, unsigned padded)
{
    to_channels_last(filters, result, outputs, inputs, taps, padded);
}

// The way back, without what was added.
template <class T>
__device__ void from_channels_last(
    const T *__restrict__ filters, float *__restrict__ result, unsigned inputs, unsigned taps, unsigned padded)
{
    __shared__ float tile[TILE * MOST_TAPS];
    unsigned output = blockIdx.y, first = blockIdx.x * TILE;
    unsigned wide = min(inputs - first, TILE);
    for (unsigned i = threadIdx.x; i < wide * taps; i += BLOCK) {
        unsigned tap = i / wide, input = i % wide;
        tile[input * taps + tap] = widened(filters[(output * taps + tap) * padded + first + input]);
    }
    __syncthreads();
    for (unsigned i = threadIdx.x; i < wide * taps; i += BLOCK)
        result[(output * inputs + first) * taps + i] = tile[i];
}

extern "C" __global__ void filters_from_channels_last(
    const float *filters, float *result, unsigned inputs, unsigned taps, unsigned padded)
{
    from_channels_last(filters, result, inputs, taps, padded);
}

extern "C" __global__ void filters_from_channels_last_bf16(
    const bf16 *filters, float *result, unsigned inputs, unsigned taps, unsigned padded)
{
    from_channels_last(filters, result, inputs, taps, padded);
}

// A copy with zeros behind it.
extern "C" __global__ void with_zeros(const float *values, float *result, unsigned there, unsigned count)
{
    FOR_EACH(i, count)
        result[i] = i < there ? values[i] : 0.0f;
}
