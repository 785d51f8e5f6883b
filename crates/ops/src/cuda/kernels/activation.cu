// ReLU, sums, sigmoid and softmax.

// max(x, 0); NaN stays. Counts are in packs.
extern "C" __global__ void relu_forward(const Pack *__restrict__ x, Pack *__restrict__ y, unsigned count)
{
    FOR_EACH(i, count) {
        Floats values(x[i]);
        EACH_LANE(k)
            values.lanes[k] = values.lanes[k] <= 0.0f ? 0.0f : values.lanes[k];
        y[i] = values.pack();
    }
}

extern "C" __global__ void relu_backward(
    const Pack *__restrict__ y, const Pack *__restrict__ dy, Pack *__restrict__ dx, unsigned count)
{
    FOR_EACH(i, count) {
        Floats values(y[i]), gradients(dy[i]);
        EACH_LANE(k)
            gradients.lanes[k] = values.lanes[k] <= 0.0f ? 0.0f : gradients.lanes[k];
        dx[i] = gradients.pack();
    }
}

extern "C" __global__ void add(
    const Pack *__restrict__ a, const Pack *__restrict__ b, Pack *__restrict__ y, unsigned count)
{
    FOR_EACH(i, count) {
        Floats sum(a[i]), other(b[i]);
        EACH_LANE(k)
            sum.lanes[k] += other.lanes[k];
        y[i] = sum.pack();
    }
}

// The sum, and 0 where that is negative; NaN stays.
extern "C" __global__ void add_relu(
    const Pack *__restrict__ a, const Pack *__restrict__ b, Pack *__restrict__ y, unsigned count)
{
    FOR_EACH(i, count) {
        Floats sum(a[i]), other(b[i]);
        EACH_LANE(k) {
            float value = sum.lanes[k] + other.lanes[k];
            sum.lanes[k] = value <= 0.0f ? 0.0f : value;
        }
        y[i] = sum.pack();
    }
}

// The exponential of a very small number's opposite is infinite, and its sigmoid 0, as it should be.
extern "C" __global__ void sigmoid_forward(const Pack *__restrict__ x, Pack *__restrict__ y, unsigned count)
{
    FOR_EACH(i, count) {
        Floats values(x[i]);
        EACH_LANE(k)
            values.lanes[k] = 1.0f / (1.0f + expf(-values.lanes[k]));
        y[i] = values.pack();
    }
}

// dy y (1 - y).
extern "C" __global__ void sigmoid_backward(
    const Pack *__restrict__ y, const Pack *__restrict__ dy, Pack *__restrict__ dx, unsigned count)
{
    FOR_EACH(i, count) {
        Floats values(y[i]), gradients(dy[i]);
        EACH_LANE(k)
            gradients.lanes[k] *= values.lanes[k] * (1.0f - values.lanes[k]);
        dx[i] = gradients.pack();
    }
}

// Softmax of every row of `classes` numbers, a thread a row.
extern "C" __global__ void softmax_forward(const float *x, float *y, unsigned rows, unsigned classes)
{
    FOR_EACH(row, rows) {
        const float *from = x + row * classes;
        float *to = y + row * classes;
        float highest = from[0];
        for (unsigned c = 1; c < classes; c++)
            highest = fmaxf(highest, from[c]);
        float total = 0.0f;
        for (unsigned c = 0; c < classes; c++) {
            to[c] = expf(from[c] - highest);
            total += to[c];
        }
        for (unsigned c = 0; c < classes; c++)
            to[c] /= total;
    }
}

// One class of the softmax of every row, with the bits of `softmax_forward`.
extern "C" __global__ void softmax_of_class(
    const float *__restrict__ x, float *__restrict__ y, unsigned rows, unsigned classes, unsigned wanted)
{
    FOR_EACH(row, rows) {
        const float *from = x + row * classes;
        float highest = from[0];
        for (unsigned c = 1; c < classes; c++)
            highest = fmaxf(highest, from[c]);
        float total = 0.0f;
        for (unsigned c = 0; c < classes; c++)
            total += expf(from[c] - highest);
        y[row] = expf(from[wanted] - highest) / total;
    }
}

// y (dy - sum of dy y) of every row.
extern "C" __global__ void softmax_backward(
    const float *y, const float *dy, float *dx, unsigned rows, unsigned classes)
{
    FOR_EACH(row, rows) {
        unsigned start = row * classes;
        float inner = 0.0f;
        for (unsigned i = start; i < start + classes; i++)
            inner += y[i] * dy[i];
        for (unsigned i = start; i < start + classes; i++)
            dx[i] = y[i] * (dy[i] - inner);
    }
}
