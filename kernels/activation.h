/* Activations that convolutions, products and batch normalisation apply to their results before they store them:
 * functions that have one slope below 0, and go straight up to where they end. Another one is a line in the list; its
 * gradient is that of the elementwise function of the same name, which is computed from the result
 * (kernels/elementwise.h). */
#ifndef LX_ACTIVATION_H
#define LX_ACTIVATION_H

/* X(name, slope below 0, the largest result) */
#define ACTIVATIONS_IN_PASSING(X) \
    X(relu, 0.0f, INFINITY) \
    X(relu6, 0.0f, 6.0f) \
    X(leaky, 0.1f, INFINITY)

/* ACTIVATION_none is no activation. */
#define ACTIVATION_NUMBER(name, slope, most) ACTIVATION_##name,
enum { ACTIVATION_none, ACTIVATIONS_IN_PASSING(ACTIVATION_NUMBER) ACTIVATION_COUNT };
#undef ACTIVATION_NUMBER

#ifdef LUXEL_KERNELS_H

static LX_ITEM float most_of_activation(int activation)
{
#define ACTIVATION_MOST(name, slope, most) activation == ACTIVATION_##name ? (most) :
    return ACTIVATIONS_IN_PASSING(ACTIVATION_MOST) 0.0f;
#undef ACTIVATION_MOST
}

static LX_ITEM float slope_of_activation(int activation)
{
#define ACTIVATION_SLOPE(name, slope, most) activation == ACTIVATION_##name ? (slope) :
    return ACTIVATIONS_IN_PASSING(ACTIVATION_SLOPE) 0.0f;
#undef ACTIVATION_SLOPE
}

/* Below 0. A slope of 0 gives 0 of -infinity too. */
static LX_ITEM float below_zero(float value, int activation)
{
    const float slope = slope_of_activation(activation);
    return slope == 0.0f ? 0.0f : value * slope;
}

static LX_ITEM lanes lanes_below_zero(lanes value, int activation)
{
    const float slope = slope_of_activation(activation);
    return slope == 0.0f ? splat(0.0f) : value * splat(slope);
}

/* NaN stays what it is. */
static LX_ITEM float activate(float value, int activation)
{
    const float most = most_of_activation(activation);
    return activation == ACTIVATION_none ? value : value < 0.0f ? below_zero(value, activation) : value > most ? most : value;
}

static LX_ITEM lanes activate_lanes(lanes value, int activation)
{
    const lanes most = splat(most_of_activation(activation));
    if (activation == ACTIVATION_none)
        return value;
    value = choose_lanes(value < splat(0.0f), lanes_below_zero(value, activation), value);
    return choose_lanes(value > most, most, value);
}

/* The gradient of what `value` is activated to, where it still depends on the value; an end at infinity is none. */
static LX_ITEM float through_activation(float gradient, float value, int activation)
{
    const float most = most_of_activation(activation);
    const float below = value < most || most == INFINITY ? gradient : 0.0f;
    return activation == ACTIVATION_none ? gradient : value > 0.0f ? below : below_zero(gradient, activation);
}

static LX_ITEM lanes lanes_through_activation(lanes gradient, lanes value, int activation)
{
    const float most = most_of_activation(activation);
    if (activation == ACTIVATION_none)
        return gradient;
    const lanes below = lanes_below_zero(gradient, activation);
    if (most != INFINITY)
        gradient = choose_lanes(value < splat(most), gradient, splat(0.0f));
    return choose_lanes(value > splat(0.0f), gradient, below);
}

#endif

#endif
