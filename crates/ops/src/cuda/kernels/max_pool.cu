// 2x2 maximum of NHWC images. Pixels are counted over all images: row `r` of the outputs lies over rows 2r and 2r + 1
// of the inputs, because heights are even.

// The first of equals stays, NaN wins.
__device__ bool wins(float value, float best) { return value > best || value != value; }

extern "C" __global__ void pool_forward(
    const float *x, float *y, unsigned width, unsigned channels, unsigned pixels)
{
    unsigned half = width / 2, below = width * channels;
    FOR_EACH_PIXEL(p, pixels) {
        unsigned corner = (p / half * 2 * width + p % half * 2) * channels;
        FOR_EACH_CHANNEL(c, channels) {
            const float *window = x + corner + c;
            float best = window[0], value = window[channels];
            best = wins(value, best) ? value : best;
            value = window[below];
            best = wins(value, best) ? value : best;
            value = window[below + channels];
            y[p * channels + c] = wins(value, best) ? value : best;
        }
    }
}

extern "C" __global__ void pool_backward(
    const float *x, const float *dy, float *dx, unsigned width, unsigned channels, unsigned pixels)
{
    unsigned half = width / 2;
    FOR_EACH_PIXEL(p, pixels) {
        unsigned corner = (p / half * 2 * width + p % half * 2) * channels;
        FOR_EACH_CHANNEL(c, channels) {
            const float *window = x + corner + c;
            float *gradient = dx + corner + c;
            unsigned places[4] = {0, channels, width * channels, width * channels + channels};
            float best = window[0];
            unsigned taken = 0;
            for (unsigned k = 1; k < 4; k++)
                if (wins(window[places[k]], best)) {
                    best = window[places[k]];
                    taken = k;
                }
            for (unsigned k = 0; k < 4; k++)
                gradient[places[k]] = k == taken ? dy[p * channels + c] : 0.0f;
        }
    }
}
