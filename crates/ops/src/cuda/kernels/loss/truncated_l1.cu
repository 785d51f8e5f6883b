// The truncated L1 loss of two-class logits.

// What is left of the margin at a pixel; negative where nothing is.
__device__ float rest(const float *logits, bool anomalous, float margin)
{
    float score = logits[1] - logits[0];
    return anomalous ? margin - score : score + margin;
}

// This block's sums over normal and over anomalous pixels, and its numbers of them: `partial` is (4, blocks).
extern "C" __global__ void truncated_l1_partial(
    const float *logits, const float *mask, float margin, unsigned pixels, double *partial)
{
    double sums[4] = {0.0, 0.0, 0.0, 0.0};
    FOR_EACH(i, pixels) {
        bool anomalous = mask[i] > 0.0f;
        float value = rest(logits + 2 * i, anomalous, margin);
        value = value < 0.0f ? 0.0f : value; // NaN stays
        sums[0] += anomalous ? 0.0 : (double)value;
        sums[1] += anomalous ? (double)value : 0.0;
        sums[2] += anomalous ? 0.0 : 1.0;
        sums[3] += anomalous ? 1.0 : 0.0;
    }
    for (int k = 0; k < 4; k++) {
        double sum = block_sum(sums[k]);
        if (threadIdx.x == 0)
            partial[k * gridDim.x + blockIdx.x] = sum;
    }
}

// By one block: the loss, and what a normal and an anomalous pixel that misses the margin adds to it.
extern "C" __global__ void truncated_l1_finish(const double *partial, unsigned blocks, float *loss, float *shares)
{
    double sums[4];
    for (int k = 0; k < 4; k++) {
        double sum = 0.0;
        FOR_EACH(i, blocks)
            sum += partial[k * blocks + i];
        sums[k] = block_sum(sum);
    }
    if (threadIdx.x == 0) {
        double normal = sums[2] > 0.0 ? sums[2] : 1.0, anomalous = sums[3] > 0.0 ? sums[3] : 1.0;
        *loss = (float)(sums[0] / normal + sums[1] / anomalous);
        shares[0] = (float)(1.0 / normal);
        shares[1] = (float)(1.0 / anomalous);
    }
}

extern "C" __global__ void truncated_l1_backward(
    const float *logits, const float *mask, const float *gradient, const float *shares, float margin, unsigned pixels,
    float *d_logits)
{
    float normal = *gradient * shares[0], anomalous = -*gradient * shares[1];
    FOR_EACH(i, pixels) {
        bool marked = mask[i] > 0.0f;
        float slope = rest(logits + 2 * i, marked, margin) > 0.0f ? (marked ? anomalous : normal) : 0.0f;
        d_logits[2 * i] = -slope;
        d_logits[2 * i + 1] = slope;
    }
}
