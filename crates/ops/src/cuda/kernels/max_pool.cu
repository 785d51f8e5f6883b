// 2x2 maximum of NHWC images. Pixels are counted over all images: row `r` of the outputs lies over rows 2r and 2r + 1
// of the inputs, because heights are even. Counts of channels are in packs.

// The first of equals stays, NaN wins.
__device__ bool wins(float value, float best) { return value > best || value != value; }

extern "C" __global__ void pool_forward(
    const Pack *__restrict__ x, Pack *__restrict__ y, unsigned width, unsigned packs, unsigned pixels)
{
    unsigned half = width / 2, below = width * packs;
    FOR_EACH_PIXEL(p, pixels) {
        unsigned corner = (p / half * 2 * width + p % half * 2) * packs;
        FOR_EACH_CHANNEL(c, packs) {
            const Pack *window = x + corner + c;
            Floats best(window[0]), others[3] = {window[packs], window[below], window[below + packs]};
            EACH_LANE(k)
                for (int other = 0; other < 3; other++)
                    if (wins(others[other].lanes[k], best.lanes[k]))
                        best.lanes[k] = others[other].lanes[k];
            y[p * packs + c] = best.pack();
        }
    }
}

extern "C" __global__ void pool_backward(
    const Pack *__restrict__ x, const Pack *__restrict__ dy, Pack *__restrict__ dx, unsigned width, unsigned packs,
    unsigned pixels)
{
    unsigned half = width / 2, below = width * packs;
    FOR_EACH_PIXEL(p, pixels) {
        unsigned corner = (p / half * 2 * width + p % half * 2) * packs;
        FOR_EACH_CHANNEL(c, packs) {
            const Pack *window = x + corner + c;
            Floats values[4] = {window[0], window[packs], window[below], window[below + packs]};
            Floats gradient(dy[p * packs + c]), spread[4];
            EACH_LANE(k) {
                float best = values[0].lanes[k];
                int taken = 0;
                for (int place = 1; place < 4; place++)
                    if (wins(values[place].lanes[k], best)) {
                        best = values[place].lanes[k];
                        taken = place;
                    }
                for (int place = 0; place < 4; place++)
                    spread[place].lanes[k] = place == taken ? gradient.lanes[k] : 0.0f;
            }
            Pack *to = dx + corner + c;
            to[0] = spread[0].pack();
            to[packs] = spread[1].pack();
            to[below] = spread[2].pack();
            to[below + packs] = spread[3].pack();
        }
    }
}
