// Channels side by side, and apart again. Counts of channels are in packs.

extern "C" __global__ void concatenate(
    const Pack *__restrict__ a, const Pack *__restrict__ b, Pack *__restrict__ y, unsigned of_a, unsigned of_b,
    unsigned pixels)
{
    unsigned both = of_a + of_b;
    FOR_EACH_PIXEL(p, pixels)
        FOR_EACH_CHANNEL(c, both)
            y[p * both + c] = c < of_a ? a[p * of_a + c] : b[p * of_b + c - of_a];
}

// The channels from..from + count.
extern "C" __global__ void take_channels(
    const Pack *__restrict__ x, Pack *__restrict__ y, unsigned channels, unsigned from, unsigned count,
    unsigned pixels)
{
    FOR_EACH_PIXEL(p, pixels)
        FOR_EACH_CHANNEL(c, count)
            y[p * count + c] = x[p * channels + from + c];
}
