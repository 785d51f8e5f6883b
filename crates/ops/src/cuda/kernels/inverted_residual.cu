// Inverted residual blocks but for their matrix products: convolutions that are padded as TensorFlow's SAME is, with bias.
//
// `top` and `left` are the zeros in front of the image. Behind it there are as many as the last filter needs, so only
// `h` and `w` bound what is read. A row or column in front of the image wraps to a number above every bound.
//
// Sums begin with the bias and go by fused multiplication over the rows of the filter, its columns, and the channels.

__device__ __forceinline__ float relu6(float value) { return fminf(fmaxf(value, 0.0f), 6.0f); }

// The filters of single channels, relu6(bias + sum of filter * relu6(x)): x (n, h, w, channels), filters
// (side, side, channels), y (n, ho, wo, channels) of `count` numbers.
extern "C" __global__ void depthwise_relu6(
    const float *x, const float *filters, const float *bias, float *y, unsigned h, unsigned w, unsigned channels,
    unsigned ho, unsigned wo, unsigned side, unsigned stride, unsigned top, unsigned left, unsigned count)
{
    FOR_EACH(i, count) {
        unsigned c = i % channels, place = i / channels;
        unsigned column = place % wo, row = place / wo % ho, image = place / wo / ho;
        float sum = bias[c];
        for (unsigned v = 0; v < side; v++) {
            unsigned from_row = row * stride + v - top;
            if (from_row >= h)
                continue;
            for (unsigned u = 0; u < side; u++) {
                unsigned from_column = column * stride + u - left;
                if (from_column >= w)
                    continue;
                float value = x[((image * h + from_row) * w + from_column) * channels + c];
                sum = fmaf(relu6(value), filters[(v * side + u) * channels + c], sum);
            }
        }
        y[i] = relu6(sum);
    }
}

// Any convolution, bias + sum, without an activation: x (n, h, w, inputs), filters (side, side, inputs, outputs),
// y (n, ho, wo, outputs) of `count` numbers. For the first of a network, which reads three channels.
extern "C" __global__ void same_convolution(
    const float *x, const float *filters, const float *bias, float *y, unsigned h, unsigned w, unsigned inputs,
    unsigned outputs, unsigned ho, unsigned wo, unsigned side, unsigned stride, unsigned top, unsigned left, unsigned count)
{
    FOR_EACH(i, count) {
        unsigned c = i % outputs, place = i / outputs;
        unsigned column = place % wo, row = place / wo % ho, image = place / wo / ho;
        float sum = bias[c];
        for (unsigned v = 0; v < side; v++) {
            unsigned from_row = row * stride + v - top;
            if (from_row >= h)
                continue;
            for (unsigned u = 0; u < side; u++) {
                unsigned from_column = column * stride + u - left;
                if (from_column >= w)
                    continue;
                const float *pixel = x + ((image * h + from_row) * w + from_column) * inputs;
                const float *filter = filters + (v * side + u) * inputs * outputs + c;
                for (unsigned k = 0; k < inputs; k++)
                    sum = fmaf(pixel[k], filter[k * outputs], sum);
            }
        }
        y[i] = sum;
    }
}
