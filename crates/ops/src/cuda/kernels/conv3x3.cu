// What surrounds cuDNN's convolutions: the order of the filters, bfloat16, and the bias.
//
// Variables hold filters as (out, in, taps); cuDNN's NHWC kernels want (out, taps, in).

// Rounded to the nearest, ties to even; NaN stays NaN.
__device__ unsigned short to_bfloat16(float value)
{
    unsigned bits = __float_as_uint(value);
    if ((bits & 0x7fffffffu) > 0x7f800000u)
        return (unsigned short)(bits >> 16 | 0x40u);
    return (unsigned short)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

__device__ float from_bfloat16(unsigned short value) { return __uint_as_float((unsigned)value << 16); }

// Place in (out, in, taps) of the number at `i` in (out, taps, in).
__device__ unsigned place(unsigned i, unsigned inputs, unsigned taps)
{
    unsigned input = i % inputs, tap = i / inputs % taps, output = i / (inputs * taps);
    return (output * inputs + input) * taps + tap;
}

extern "C" __global__ void filters_to_channels_last(
    const float *filters, float *result, unsigned inputs, unsigned taps, unsigned count)
{
    FOR_EACH(i, count)
        result[i] = filters[place(i, inputs, taps)];
}

extern "C" __global__ void filters_to_channels_last_bfloat16(
    const float *filters, unsigned short *result, unsigned inputs, unsigned taps, unsigned count)
{
    FOR_EACH(i, count)
        result[i] = to_bfloat16(filters[place(i, inputs, taps)]);
}

extern "C" __global__ void filters_from_channels_last(
    const float *filters, float *result, unsigned inputs, unsigned taps, unsigned count)
{
    FOR_EACH(i, count)
        result[place(i, inputs, taps)] = filters[i];
}

extern "C" __global__ void filters_from_channels_last_bfloat16(
    const unsigned short *filters, float *result, unsigned inputs, unsigned taps, unsigned count)
{
    FOR_EACH(i, count)
        result[place(i, inputs, taps)] = from_bfloat16(filters[i]);
}

extern "C" __global__ void round_to_bfloat16(const float *x, unsigned short *y, unsigned count)
{
    FOR_EACH(i, count)
        y[i] = to_bfloat16(x[i]);
}

extern "C" __global__ void widen_bfloat16(const unsigned short *x, float *y, unsigned count)
{
    FOR_EACH(i, count)
        y[i] = from_bfloat16(x[i]);
}

extern "C" __global__ void widen_bfloat16_with_bias(
    const unsigned short *x, const float *bias, float *y, unsigned channels, unsigned pixels)
{
    FOR_EACH_PIXEL(p, pixels)
        FOR_EACH_CHANNEL(c, channels)
            y[p * channels + c] = from_bfloat16(x[p * channels + c]) + bias[c];
}

extern "C" __global__ void add_bias(float *y, const float *bias, unsigned channels, unsigned pixels)
{
    FOR_EACH_PIXEL(p, pixels)
        FOR_EACH_CHANNEL(c, channels)
            y[p * channels + c] += bias[c];
}

// The gradient of the bias, the sums of the columns of (rows, channels), in two kernels.
extern "C" __global__ void bias_gradient_partial(
    const float *dy, unsigned rows, unsigned channels, unsigned chunk_rows, double *partial)
{
    unsigned c = blockIdx.x * blockDim.x + threadIdx.x;
    float sum = 0.0f;
    if (c < channels) {
        unsigned end = min(rows, (blockIdx.y + 1) * chunk_rows);
        for (unsigned row = blockIdx.y * chunk_rows + threadIdx.y; row < end; row += blockDim.y)
            sum += dy[row * channels + c];
    }
    write_partial(sum, 0.0, c, channels, partial);
}

extern "C" __global__ void bias_gradient_final(
    const double *partial, unsigned chunks, unsigned channels, float *d_bias)
{
    unsigned c = blockIdx.x * blockDim.x + threadIdx.x;
    double sum, nothing;
    read_partial(partial, chunks, c, channels, sum, nothing);
    if (threadIdx.y == 0 && c < channels)
        d_bias[c] = (float)sum;
}
