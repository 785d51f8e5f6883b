// Maxima of NHWC images. Of 2x2 windows: pixels are counted over all images: row `r` of the outputs lies over rows 2r and 2r + 1
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

// The places of a 3x3 window with stride 2 and padding 1 that lie inside an image: rows top..bottom, columns left..right.
struct Window {
    unsigned top, bottom, left, right;
    __device__ Window(unsigned row, unsigned column, unsigned height, unsigned width)
        : top(row ? 2 * row - 1 : 0), bottom(min(2 * row + 2, height)), left(column ? 2 * column - 1 : 0),
          right(min(2 * column + 2, width))
    {
    }
};

// `pixels` outputs over all images of any sides.
extern "C" __global__ void pool3_forward(
    const Pack *__restrict__ x, Pack *__restrict__ y, unsigned height, unsigned width, unsigned packs, unsigned pixels)
{
    unsigned rows = (height + 1) / 2, columns = (width + 1) / 2;
    FOR_EACH_PIXEL(p, pixels) {
        Window window(p / columns % rows, p % columns, height, width);
        unsigned image = p / columns / rows * height;
        FOR_EACH_CHANNEL(c, packs) {
            Floats best(x[((image + window.top) * width + window.left) * packs + c]);
            for (unsigned row = window.top; row < window.bottom; row++)
                for (unsigned column = window.left; column < window.right; column++) {
                    Floats value(x[((image + row) * width + column) * packs + c]);
                    EACH_LANE(k)
                        if (wins(value.lanes[k], best.lanes[k]))
                            best.lanes[k] = value.lanes[k];
                }
            y[p * packs + c] = best.pack();
        }
    }
}

// `pixels` inputs over all images. A pixel lies in up to four windows: it finds the maximum of each again and takes the
// gradients of those that are its own, one after the other.
extern "C" __global__ void pool3_backward(
    const Pack *__restrict__ x, const Pack *__restrict__ dy, Pack *__restrict__ dx, unsigned height, unsigned width,
    unsigned packs, unsigned pixels)
{
    unsigned rows = (height + 1) / 2, columns = (width + 1) / 2;
    FOR_EACH_PIXEL(p, pixels) {
        unsigned own_row = p / width % height, own_column = p % width, image = p / width / height;
        FOR_EACH_CHANNEL(c, packs) {
            Floats sums;
            EACH_LANE(k)
                sums.lanes[k] = 0.0f;
            for (unsigned y = own_row / 2; y <= (own_row + 1) / 2 && y < rows; y++)
                for (unsigned z = own_column / 2; z <= (own_column + 1) / 2 && z < columns; z++) {
                    Window window(y, z, height, width);
                    unsigned first = (image * height + window.top) * width + window.left, taken[LANES];
                    Floats best(x[first * packs + c]);
                    EACH_LANE(k)
                        taken[k] = first;
                    for (unsigned row = window.top; row < window.bottom; row++)
                        for (unsigned column = window.left; column < window.right; column++) {
                            unsigned place = (image * height + row) * width + column;
                            Floats value(x[place * packs + c]);
                            EACH_LANE(k)
                                if (wins(value.lanes[k], best.lanes[k])) {
                                    best.lanes[k] = value.lanes[k];
                                    taken[k] = place;
                                }
                        }
                    Floats gradient(dy[((image * rows + y) * columns + z) * packs + c]);
                    EACH_LANE(k)
                        if (taken[k] == p)
                            sums.lanes[k] += gradient.lanes[k];
                }
            dx[p * packs + c] = sums.pack();
        }
    }
}
