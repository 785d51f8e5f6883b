// Prepended to every kernel file: types, loops over elements and pixels, and sums in a fixed order.
//
// The host defines NUMBER, the type of activations (float or bf16), and LANES, how many of them a thread reads at once
// as a pack: 16 bytes of neighbouring channels, or one where shapes do not allow that. Whatever the type, kernels
// compute in f32 and round once.
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

// The upper half of an f32.
struct bf16 { unsigned short bits; };

__device__ __forceinline__ float widened(float value) { return value; }
__device__ __forceinline__ float widened(bf16 value) { return __uint_as_float((unsigned)value.bits << 16); }

template <class T> __device__ T rounded(float value);
template <> __device__ __forceinline__ float rounded<float>(float value) { return value; }
// To the nearest, ties to even; NaN stays NaN.
template <> __device__ __forceinline__ bf16 rounded<bf16>(float value)
{
    bf16 result;
#if __CUDA_ARCH__ >= 900
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(result.bits) : "f"(value));
#else
    unsigned bits = __float_as_uint(value);
    bool is_nan = (bits & 0x7fffffffu) > 0x7f800000u;
    result.bits = (unsigned short)(is_nan ? bits >> 16 | 0x40u : (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
#endif
    return result;
}

#define EACH_LANE(k) _Pragma("unroll") for (int k = 0; k < LANES; k++)

// Neighbouring numbers as they lie in memory: one, or 16 bytes, which move in one instruction.
#if LANES == 1
typedef NUMBER Pack;
#else
typedef uint4 Pack;
#endif

__device__ __forceinline__ void unpack(float pack, float (&lanes)[1]) { lanes[0] = pack; }
__device__ __forceinline__ void unpack(bf16 pack, float (&lanes)[1]) { lanes[0] = widened(pack); }
__device__ __forceinline__ void unpack(uint4 pack, float (&lanes)[4])
{
    unsigned words[4] = {pack.x, pack.y, pack.z, pack.w};
    EACH_LANE(k)
        lanes[k] = __uint_as_float(words[k]);
}
__device__ __forceinline__ void unpack(uint4 pack, float (&lanes)[8])
{
    unsigned words[4] = {pack.x, pack.y, pack.z, pack.w};
    EACH_LANE(k) // the even ones are the lower halves
        lanes[k] = __uint_as_float(k % 2 ? words[k / 2] & 0xffff0000u : words[k / 2] << 16);
}

__device__ __forceinline__ void repack(const float (&lanes)[1], float &pack) { pack = lanes[0]; }
__device__ __forceinline__ void repack(const float (&lanes)[1], bf16 &pack) { pack = rounded<bf16>(lanes[0]); }
__device__ __forceinline__ void repack(const float (&lanes)[4], uint4 &pack)
{
    pack = make_uint4(
        __float_as_uint(lanes[0]), __float_as_uint(lanes[1]), __float_as_uint(lanes[2]), __float_as_uint(lanes[3]));
}
__device__ __forceinline__ unsigned both(float lower, float upper)
{
    return rounded<bf16>(lower).bits | (unsigned)rounded<bf16>(upper).bits << 16;
}
__device__ __forceinline__ void repack(const float (&lanes)[8], uint4 &pack)
{
    pack = make_uint4(both(lanes[0], lanes[1]), both(lanes[2], lanes[3]), both(lanes[4], lanes[5]), both(lanes[6], lanes[7]));
}

// The numbers of a pack, as a thread computes with them.
struct Floats {
    float lanes[LANES];
    Floats() = default;
    __device__ __forceinline__ Floats(Pack pack) { unpack(pack, lanes); }
    // LANES numbers of an f32 array, from its pack `p`.
    __device__ __forceinline__ Floats(const float *values, unsigned p)
    {
        EACH_LANE(k)
            lanes[k] = values[p * LANES + k];
    }
    __device__ __forceinline__ Pack pack() const
    {
        Pack result;
        repack(lanes, result);
        return result;
    }
};

// Sums two columns over threadIdx.y, whose extent is a power of two; threadIdx.y == 0 gets the sums.
template <int N> __device__ void sum_down(double (&a)[N], double (&b)[N])
{
    __shared__ double first[N][BLOCK], second[N][BLOCK];
    unsigned thread = threadIdx.y * blockDim.x + threadIdx.x;
    for (int k = 0; k < N; k++) {
        first[k][thread] = a[k];
        second[k][thread] = b[k];
    }
    __syncthreads();
    for (unsigned half = blockDim.y / 2; half > 0; half /= 2) {
        if (threadIdx.y < half)
            for (int k = 0; k < N; k++) {
                first[k][thread] += first[k][thread + half * blockDim.x];
                second[k][thread] += second[k][thread + half * blockDim.x];
            }
        __syncthreads();
    }
    for (int k = 0; k < N; k++) {
        a[k] = first[k][thread];
        b[k] = second[k][thread];
    }
}

// Leaves this block's two sums of the channels of pack `p` in `partial` (row chunks, 2, channels).
__device__ void write_partial(const float (&of_a)[LANES], const float (&of_b)[LANES], unsigned p, unsigned packs, double *partial)
{
    double a[LANES], b[LANES];
    EACH_LANE(k) {
        a[k] = of_a[k];
        b[k] = of_b[k];
    }
    sum_down(a, b);
    if (threadIdx.y == 0 && p < packs)
        EACH_LANE(k) {
            unsigned channels = packs * LANES, c = p * LANES + k;
            partial[2 * blockIdx.y * channels + c] = a[k];
            partial[(2 * blockIdx.y + 1) * channels + c] = b[k];
        }
}

// The totals of `write_partial`'s sums for channel `c`; threadIdx.y == 0 gets them. Called by all threads of the block.
__device__ void read_partial(
    const double *partial, unsigned chunks, unsigned c, unsigned channels, double &a, double &b)
{
    double sums[2][1] = {{0.0}, {0.0}};
    if (c < channels) {
#pragma unroll 4
        for (unsigned chunk = threadIdx.y; chunk < chunks; chunk += blockDim.y) {
            sums[0][0] += partial[2 * chunk * channels + c];
            sums[1][0] += partial[(2 * chunk + 1) * channels + c];
        }
    }
    sum_down(sums[0], sums[1]);
    a = sums[0][0];
    b = sums[1][0];
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
