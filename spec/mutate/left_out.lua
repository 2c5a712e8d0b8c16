--- What is not mutated, and why: a change there changes no result, only how long something takes, or it is no code.
-- Lua patterns of a path, and of a line or of the name of the C function around it; without both, the whole file.
local FASTEST <const> = "which way may be the fastest; each is tested by itself (each_way in the simt specs)"

---@type {path: string, line: string?, inside: string?, why: string}[]
return {
    {path = "^csrc/format/stb%.c$", why = "for builds without libraries, which mutations are not"},
    {path = "^lua/luxel/vision/quality_weights%.lua$", why = "learned numbers: data, checked as a whole"},
    {path = "", line = "%f[%w_]work = ", why = "how much a launch has to do decides how many threads do it"},
    {path = "", line = "[%.>]bytes = ", why = "bytes of a launch, which a profile shows"},
    {path = "^csrc/device/tuning%.c$", line = "ROUND_MICROSECONDS", why = "how often a way is run to measure it"},
    {path = "^csrc/device/pool%.c$", inside = "^reckon$", why = "when threads share work, which changes no result"},
    {path = "^csrc/device/pool%.c$", inside = "^watch$", why = "how long threads look before they sleep"},
    {path = "^csrc/device/opencl/opencl%.c$", line = "PARALLEL_FROM", why = FASTEST},
    {path = "^csrc/ops/.*_simt%.c$", inside = "^guess$", why = FASTEST},
    {path = "^csrc/ops/.*_simt%.c$", inside = "^items_of$", why = FASTEST},
    {path = "^csrc/ops/.*_simt%.c$", inside = "^groups_of$", why = FASTEST},
    {path = "^csrc/ops/.*_simt%.c$", inside = "^neighbours$", why = FASTEST},
    {path = "^csrc/ops/.*_simt%.c$", inside = "^likely_best$", why = FASTEST},
    {path = "^csrc/ops/.*_simt%.c$", inside = "^busy_chunks$", why = FASTEST},
    {path = "^csrc/ops/.*_simt%.c$", line = "^{%d+, %d+, %d+, %d+, %d+, [%d.]+}", why = FASTEST},
    {path = "^csrc/ops/simt/winograd_simt%.c$", inside = "^lx_winograd_groups$", why = FASTEST},
    {path = "^csrc/ops/simt/tiles%.c$", inside = "^lx_tile_speed$", why = FASTEST},
    {path = "^csrc/ops/tile/conv2d_tile%.c$", inside = "^default_together$", why = FASTEST},
}
