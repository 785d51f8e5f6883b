// The mean squared error.

extern "C" __global__ void mse_partial(const float *a, const float *b, unsigned count, double *partial)
{
    double sum = 0.0;
    FOR_EACH(i, count) {
        float difference = a[i] - b[i];
        sum += (double)difference * difference;
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0)
        partial[blockIdx.x] = sum;
}

// factor * gradient of the loss * (a - b).
extern "C" __global__ void mse_backward(
    const float *a, const float *b, const float *gradient, float factor, unsigned count, float *da)
{
    float scale = factor * *gradient;
    FOR_EACH(i, count)
        da[i] = scale * (a[i] - b[i]);
}
