// Channels side by side, and apart again.

extern "C" __global__ void concatenate(
    const float *a, const float *b, float *y, unsigned of_a, unsigned of_b, unsigned pixels)
{
    unsigned both = of_a + of_b;
    FOR_EACH_PIXEL(p, pixels)
        FOR_EACH_CHANNEL(c, both)
            y[p * both + c] = c < of_a ? a[p * of_a + c] : b[p * of_b + c - of_a];
}

// The channels from..from + count.
extern "C" __global__ void take_channels(
    const float *x, float *y, unsigned channels, unsigned from, unsigned count, unsigned pixels)
{
    FOR_EACH_PIXEL(p, pixels)
        FOR_EACH_CHANNEL(c, count)
            y[p * count + c] = x[p * channels + from + c];
}
