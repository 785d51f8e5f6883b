// x2 bilinear interpolation of NHWC images with aligned corners. Counts of channels are in packs.

// Output `o` of 2 * size lies at o (size - 1) / (2 size - 1): between `lower` and `upper`, `fraction` of the way.
struct Blend {
    int lower, upper;
    float fraction;
    __device__ Blend(int size, int output)
    {
        int numerator = output * (size - 1), denominator = 2 * size - 1;
        lower = numerator / denominator;
        upper = min(lower + 1, size - 1);
        fraction = (float)(numerator % denominator) / (float)denominator;
    }
};

extern "C" __global__ void upsample_forward(
    const Pack *__restrict__ x, Pack *__restrict__ y, unsigned height, unsigned width, unsigned packs, unsigned pixels)
{
    FOR_EACH_PIXEL(p, pixels) {
        unsigned column = p % (2 * width), row = p / (2 * width), image = row / (2 * height);
        Blend down(height, row % (2 * height)), right(width, column);
        unsigned above = (image * height + down.lower) * width, below = (image * height + down.upper) * width;
        float up_share = 1.0f - down.fraction, left_share = 1.0f - right.fraction;
        FOR_EACH_CHANNEL(c, packs) {
            Floats a(x[(above + right.lower) * packs + c]), b(x[(below + right.lower) * packs + c]);
            Floats d(x[(above + right.upper) * packs + c]), e(x[(below + right.upper) * packs + c]);
            EACH_LANE(k) {
                float left = a.lanes[k] * up_share + b.lanes[k] * down.fraction;
                float end = d.lanes[k] * up_share + e.lanes[k] * down.fraction;
                a.lanes[k] = left * left_share + end * right.fraction;
            }
            y[p * packs + c] = a.pack();
        }
    }
}

// The outputs to which an input contributes lie within `REACH` outputs from `first` (at most four of them count, but
// rounding of the position and the ends move them).
#define REACH 7

struct Spread {
    int first;
    float weights[REACH];
    __device__ Spread(int size, int input) : first(2 * input - 2)
    {
        for (int k = 0; k < REACH; k++) {
            weights[k] = 0.0f;
            int output = first + k;
            if (output >= 0 && output < 2 * size) {
                Blend blend(size, output);
                if (blend.lower == input)
                    weights[k] += 1.0f - blend.fraction;
                if (blend.upper == input)
                    weights[k] += blend.fraction;
            }
        }
    }
};

extern "C" __global__ void upsample_backward(
    const Pack *__restrict__ dy, Pack *__restrict__ dx, unsigned height, unsigned width, unsigned packs,
    unsigned pixels)
{
    FOR_EACH_PIXEL(p, pixels) {
        unsigned row = p / width, image = row / height;
        Spread down(height, row % height), right(width, p % width);
        FOR_EACH_CHANNEL(c, packs) {
            float sum[LANES] = {};
#pragma unroll
            for (int i = 0; i < REACH; i++) {
                if (down.weights[i] == 0.0f)
                    continue;
                unsigned line = (image * 2 * height + down.first + i) * 2 * width;
                float part[LANES] = {};
#pragma unroll
                for (int j = 0; j < REACH; j++)
                    if (right.weights[j] != 0.0f) {
                        Floats gradients(dy[(line + right.first + j) * packs + c]);
                        EACH_LANE(k)
                            part[k] += gradients.lanes[k] * right.weights[j];
                    }
                EACH_LANE(k)
                    sum[k] += part[k] * down.weights[i];
            }
            Floats result;
            EACH_LANE(k)
                result.lanes[k] = sum[k];
            dx[p * packs + c] = result.pack();
        }
    }
}
