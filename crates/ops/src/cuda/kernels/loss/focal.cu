// The focal loss of two-class probabilities.

struct Pixel {
    float target[2]; // the smoothed one-hot target
    float pt;        // the probability of the right class
    float value;     // (1 - pt)^gamma
    float slope;     // its derivative
    __device__ Pixel(const float *p, float anomalous, float gamma, float smooth)
    {
        target[0] = fminf(fmaxf(1.0f - anomalous, smooth), 1.0f - smooth);
        target[1] = fminf(fmaxf(anomalous, smooth), 1.0f - smooth);
        pt = p[0] * target[0] + p[1] * target[1] + smooth;
        float rest = 1.0f - pt;
        if (gamma == 2.0f) {
            value = rest * rest;
            slope = -2.0f * rest;
        } else {
            // Rounding may carry pt past 1; NaN must stay.
            rest = rest < 0.0f ? 0.0f : rest;
            value = powf(rest, gamma);
            slope = -gamma * powf(rest, gamma - 1.0f);
        }
    }
};

extern "C" __global__ void focal_partial(
    const float *probabilities, const float *mask, float gamma, float smooth, unsigned pixels, double *partial)
{
    double sum = 0.0;
    FOR_EACH(i, pixels) {
        Pixel pixel(probabilities + 2 * i, mask[i], gamma, smooth);
        sum += (double)(-pixel.value * logf(pixel.pt));
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0)
        partial[blockIdx.x] = sum;
}

extern "C" __global__ void focal_backward(
    const float *probabilities, const float *mask, const float *gradient, float factor, float gamma, float smooth,
    unsigned pixels, float *d_probabilities)
{
    float scale = -factor * *gradient;
    FOR_EACH(i, pixels) {
        Pixel pixel(probabilities + 2 * i, mask[i], gamma, smooth);
        float slope = scale * (pixel.slope * logf(pixel.pt) + pixel.value / pixel.pt);
        d_probabilities[2 * i] = slope * pixel.target[0];
        d_probabilities[2 * i + 1] = slope * pixel.target[1];
    }
}
