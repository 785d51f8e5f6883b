// The binary cross-entropy of probabilities.

// Smallest logarithm and smallest denominator of the gradient (PyTorch).
#define LEAST_LOG -100.0f
#define LEAST_DENOMINATOR 1e-12f

// NaN stays NaN.
__device__ float bounded_log(float p)
{
    float value = logf(p);
    return value < LEAST_LOG ? LEAST_LOG : value;
}

extern "C" __global__ void bce_partial(const float *p, const float *t, unsigned count, double *partial)
{
    double sum = 0.0;
    FOR_EACH(i, count)
        sum += (double)((t[i] - 1.0f) * bounded_log(1.0f - p[i]) - t[i] * bounded_log(p[i]));
    sum = block_sum(sum);
    if (threadIdx.x == 0)
        partial[blockIdx.x] = sum;
}

// factor * gradient of the loss * (p - t) / (p (1 - p)).
extern "C" __global__ void bce_backward(
    const float *p, const float *t, const float *gradient, float factor, unsigned count, float *dp)
{
    float scale = factor * *gradient;
    FOR_EACH(i, count)
        dp[i] = scale * (p[i] - t[i]) / fmaxf(p[i] * (1.0f - p[i]), LEAST_DENOMINATOR);
}
