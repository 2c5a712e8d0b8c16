/* Activations that convolutions and products apply to their results before they store them: functions that are 0 below 0,
 * and straight up to where they end. Another one is a line in the list; its gradient is that of the elementwise function
 * of the same name, which is computed from the result (kernels/elementwise.h). */
#ifndef LX_ACTIVATION_H
#define LX_ACTIVATION_H

/* X(name, the largest result) */
#define ACTIVATIONS_IN_PASSING(X) \
    X(relu, INFINITY) \
    X(relu6, 6.0f)

/* ACTIVATION_none is no activation. */
#define ACTIVATION_NUMBER(name, most) ACTIVATION_##name,
enum { ACTIVATION_none, ACTIVATIONS_IN_PASSING(ACTIVATION_NUMBER) ACTIVATION_COUNT };
#undef ACTIVATION_NUMBER

#ifdef LUXEL_KERNELS_H

static LX_ITEM float most_of_activation(int activation)
{
#define ACTIVATION_MOST(name, most) activation == ACTIVATION_##name ? (most) :
    return ACTIVATIONS_IN_PASSING(ACTIVATION_MOST) 0.0f;
#undef ACTIVATION_MOST
}

/* NaN stays what it is. */
static LX_ITEM float activate(float value, int activation)
{
    const float most = most_of_activation(activation);
    return activation == ACTIVATION_none ? value : value < 0.0f ? 0.0f : value > most ? most : value;
}

static LX_ITEM lanes activate_lanes(lanes value, int activation)
{
    const lanes most = splat(most_of_activation(activation));
    if (activation == ACTIVATION_none)
        return value;
    value = choose_lanes(value < splat(0.0f), splat(0.0f), value);
    return choose_lanes(value > most, most, value);
}

#endif

#endif
