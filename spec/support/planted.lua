--- Faults for Oclgrind to find (spec/oclgrind), one after the other. If it finds them, its silence elsewhere counts.

local lx = require "luxel"

local FAULTS <const> = {
    {"write_behind", "y[get_global_id(0) + 1] = 1.0f;"},
    {"read_behind", "y[get_global_id(0)] = y[get_global_id(0) + 1];"},
    {"race", "y[0] = (float)get_global_id(0);"},
    {"race_of_group", [[
        __local float copy[5];
        copy[get_local_id(0)] = (float)get_local_id(0);
        y[get_global_id(0)] = copy[4 - get_local_id(0)];
    ]]},
}

for _, fault in ipairs(FAULTS) do
    local name, body = table.unpack(fault)
    local kernel = lx.opencl.kernel {
        name = name, source = ("__kernel void %s(__global float *y) { %s }"):format(name, body),
    }
    local y = lx.zeros(5, {device = "opencl"})
    kernel({global = 5, group = 5}, y)
    y:totable()
end
