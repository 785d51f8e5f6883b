// What surrounds convolutions: images as numbers, and the types and the counts of channels that cuDNN's fastest kernels want
// where activations are bfloat16.

// A bfloat16 copy with more channels, zero from `channels` on.
extern "C" __global__ void widen_channels(
    const NUMBER *__restrict__ x, bf16 *__restrict__ y, unsigned channels, unsigned padded, unsigned count)
{
    FOR_EACH(i, count) {
        unsigned c = i % padded, p = i / padded;
        y[i] = rounded<bf16>(c < channels ? widened(x[p * channels + c]) : 0.0f);
    }
}

// The first channels of a bfloat16 tensor, with a bias where there is one.
extern "C" __global__ void narrow_channels(
    const bf16 *__restrict__ x, const float *bias, NUMBER *__restrict__ y, unsigned channels, unsigned padded,
    unsigned count)
{
    FOR_EACH(i, count) {
        unsigned c = i % channels, p = i / channels;
        float value = widened(x[p * padded + c]);
        y[i] = rounded<NUMBER>(bias ? value + bias[c] : value);
    }
}

// Bytes as shares of 255, as the processor divides them.
extern "C" __global__ void bytes_to_shares(const unsigned char *__restrict__ x, float *__restrict__ y, unsigned count)
{
    FOR_EACH(i, count)
        y[i] = __fdiv_rn((float)x[i], 255.0f);
}

// In place, with a ReLU behind it if asked for.
extern "C" __global__ void add_bias(Pack *y, const float *bias, unsigned relu, unsigned packs, unsigned pixels)
{
    FOR_EACH_PIXEL(p, pixels)
        FOR_EACH_CHANNEL(c, packs) {
            Floats values(y[p * packs + c]);
            EACH_LANE(k) {
                float value = values.lanes[k] + bias[c * LANES + k];
                values.lanes[k] = relu && value <= 0.0f ? 0.0f : value;
            }
            y[p * packs + c] = values.pack();
        }
}

// The gradient of the bias, the sums of the columns of (rows, channels), in two kernels.
extern "C" __global__ void bias_gradient_partial(
    const Pack *__restrict__ dy, unsigned rows, unsigned packs, unsigned chunk_rows, double *partial)
{
    unsigned p = blockIdx.x * blockDim.x + threadIdx.x;
    float sum[LANES] = {}, nothing[LANES] = {};
    if (p < packs) {
        unsigned end = min(rows, (blockIdx.y + 1) * chunk_rows);
#pragma unroll 4
        for (unsigned row = blockIdx.y * chunk_rows + threadIdx.y; row < end; row += blockDim.y) {
            Floats values(dy[row * packs + p]);
            EACH_LANE(k)
                sum[k] += values.lanes[k];
        }
    }
    write_partial(sum, nothing, p, packs, partial);
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
