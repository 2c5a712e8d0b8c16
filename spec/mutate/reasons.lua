-- luacheck: no max line length
--- Why mutations that no test notices change nothing. Lines as build/mutate/results.tsv has them.
---@type {path: string, before: string, after: string, why: string}[]
return {
    {
        path = "lua/luxel/data/phantom.lua", before = "return", after = "",
        why = "Saves time: where there is no lung, no columns are gone through, or they get nothing.",
    },
    {
        path = "lua/luxel/data/phantom.lua", before = "local h = 1 - ((Y - body.heart_y) / height) ^ 2",
        after = "local h = 1 - ((Y - body.heart_y) / -height) ^ 2", why = "The sign is lost in the square.",
    },
    {
        path = "lua/luxel/args.lua",
        before = 'if ... ~= nil or more and select("#", ...) > 0 then check_rest(declaration, 1, ...) end',
        after = 'if ... ~= nil or more and select("#", ...) >= 0 then check_rest(declaration, 1, ...) end',
        why = "Goes through no arguments where there are none.",
    },
    {
        path = "csrc/image/rows.c", before = "if (self->count > 0 && self->type == LX_PLANE_U8)",
        after = "if (self->count >= 0 && self->type == LX_PLANE_U8)",
        why = "With no rows waiting, rows that were added before are added again with weights of 0.",
    },
    {
        path = "csrc/image/png.c", before = "sum += abs((int8_t)out[1 + i]);",
        after = "sum += abs((int8_t)out[0 + i]);",
        why = "Which filter a row of a PNG gets decides how small the file becomes, and nothing of the picture.",
    },
    {
        path = "lua/luxel/args.lua", before = "elseif count == 1 then", after = "elseif count == 0 then",
        why = "A faster form for functions of one argument: without it they take the form for any number.",
    },
    {
        path = "lua/luxel/compile/init.lua", before = "collectgarbage()", after = "",
        why = "Spares a recording that garbage makes different from the last one; what is computed is the same.",
    },
    {
        path = "lua/luxel/data/phantom.lua", before = "return h > 0 and inner + reach * sqrt(h) or inner, outer",
        after = "return h >= 0 and inner + reach * sqrt(h) or inner, outer",
        why = "Where h is 0, nothing is added.",
    },
    {
        path = "lua/luxel/data/phantom.lua", before = "if edge < 1 then",
        after = "if edge <= 1 then",
        why = "Where edge is 1, the value stays as it is.",
    },
    {
        path = "lua/luxel/metrics/intervals.lua", before = "if tries > 100 * n then",
        after = "if tries >= 100 * n then",
        why = "Gives up one try earlier after 100 times as many as wanted.",
    },
    {
        path = "lua/luxel/train/init.lua", before = "return false",
        after = "",
        why = "Nil instead of false: the callers only ask whether it is true.",
    },
    {
        path = "lua/luxel/io/safetensors.lua", before = "if size < 8 then return damaged(path, \"it is too short\") end",
        after = "if size <= 8 then return damaged(path, \"it is too short\") end",
        why = "A file of 8 bytes is refused either way, in other words.",
    },
    {
        path = "lua/luxel/gradcheck.lua", before = "local STEPS <const> = {1 / 256, 1 / 2048} -- the second where the function bends in the first",
        after = "local STEPS <const> = {1 / 256, 1 / -2048} -- the second where the function bends in the first",
        why = "Central differences are the same for a step and its opposite.",
    },
    {
        path = "lua/luxel/io/safetensors.lua", before = "return a.name < b.name", after = "return a.name <= b.name",
        why = "Names are the keys of a table: no two are equal.",
    },
    {
        path = "csrc/device/opencl/platforms.h", before = "enum { LX_OPENCL_MOST = 64 }; /* devices that are looked at */",
        after = "enum { LX_OPENCL_MOST = 63 }; /* devices that are looked at */",
        why = "A bound for machines of more devices than there are.",
    },
    {
        path = "csrc/lua/bind_recording.c", before = "if (length > 2)", after = "if (length >= 2)",
        why = "A place in a file is longer than its colon and space, or empty.",
    },
    {
        path = "lua/luxel/data/audit.lua", before = "if r and r.deviation < BLANK_DEVIATION then",
        after = "if r and r.deviation <= BLANK_DEVIATION then",
        why = "A measured deviation is never exactly the limit, and on it either answer is right.",
    },
    {
        path = "csrc/ops/conv2d_simt.c", before = "job.plan.sums = (double)batch * pass->groups * pass->out_blocks * 4 * pass->g.out_height * pass->g.out_width;",
        after = "job.plan.sums = (double)batch * pass->groups * pass->out_blocks * -4 * pass->g.out_height * pass->g.out_width;",
        why = "What a way costs decides which one is tried first.",
    },
    {
        path = "csrc/device/tuning.c", before = "const size_t room = (size_t)tuning->count * (sizeof(lx_tuned) + 64) + 1;",
        after = "const size_t room = (size_t)tuning->count * (sizeof(lx_tuned) + 64) + 0;",
        why = "Each line has room to spare.",
    },
    {
        path = "csrc/device/tuning.c", before = "long repeats = 1;",
        after = "long repeats = 2;",
        why = "How often a way is run to measure it.",
    },
    {
        path = "csrc/device/tuning.c", before = "for (int round = -1; round < ROUNDS; round++) {",
        after = "for (int round = -1; round <= ROUNDS; round++) {",
        why = "How often a way is run to measure it.",
    },
    {
        path = "csrc/device/opencl/opencl.c", before = "while (wide * high * 2 <= whole && high < (size_t)launch->size[1])",
        after = "while (wide * high * 2 <= whole && high <= (size_t)launch->size[1])",
        why = "The form of a work-group, whose items beyond the launch do nothing.",
    },
    {
        path = "csrc/device/plan.c", before = "if (rows >= wanted) {",
        after = "if (rows > wanted) {",
        why = "Into which pieces work is cut; with as many rows as pieces both ways give one row each.",
    },
    {
        path = "csrc/ops/random.c", before = "if (LX_RUN(*kernel, fours, 1, 1, fours * WORK_OF_FOUR, args, error, out))",
        after = "if (LX_RUN(*kernel, fours, 1, 2, fours * WORK_OF_FOUR, args, error, out))",
        why = "The same numbers are written twice.",
    },
    {
        path = "csrc/lua/bind_tensor.c", before = 'luaL_checkstack(L, 4, "tensor: nested too deep");',
        after = 'luaL_checkstack(L, 3, "tensor: nested too deep");',
        why = "Lua leaves more room than is asked for.",
    },
    {
        path = "csrc/ops/winograd.c", before = "return LX_RUN(k_winograd_weights, (long)pass->in_blocks * device->lanes, pass->out_blocks, 1, 4 * count, args, error,",
        after = "return LX_RUN(k_winograd_weights, (long)pass->in_blocks * device->lanes, pass->out_blocks, 1, 4 * -count, args, error,",
        why = "How much a launch has to do decides how many threads do it.",
    },
    {
        path = "csrc/ops/random.c", before = "if (p >= 0 && p < 1)",
        after = "if (p >= 0 && p <= 1)",
        why = "Asked again of what the functions for users have checked.",
    },
    {
        path = "csrc/ops/ops.h", before = "(const int[3]){(group0), (group1), 1}, (double)(work), &(params), sizeof(params), \\",
        after = "(const int[4]){(group0), (group1), 1}, (double)(work), &(params), sizeof(params), \\",
        why = "A longer array with the same numbers in front.",
    },
    {
        path = "csrc/ops/tiles.c", before = "return (tile->m == LX_LEAST_TILE || tile->m < 2 * rows) && (tile->n == LX_LEAST_TILE || tile->n < 2 * columns);",
        after = "return (tile->m == LX_LEAST_TILE || tile->m < 2 * rows) && (tile->n != LX_LEAST_TILE || tile->n < 2 * columns);",
        why = "Which tiles are worth a try.",
    },
    {
        path = "csrc/device/cpu/cpu.c", before = "const double slices = launch->work / SLICE;",
        after = "const double slices = launch->work / -SLICE;",
        why = "Into how many pieces work is cut.",
    },
    {
        path = "csrc/ops/sort.c", before = "for (; args.run < size; args.run *= 2) {",
        after = "for (; args.run <= size; args.run *= 2) {",
        why = "Merges once more what is sorted.",
    },
    {
        path = "csrc/base/pool.c", before = "atomic_fetch_sub(&pool->asleep, 1);",
        after = "atomic_fetch_sub(&pool->asleep, 0);",
        why = "Threads are woken that do not sleep.",
    },
    {
        path = "lua/luxel/calibration.lua", before = "for _, logit in ipairs(logits) do squares = squares + (logit - mean) ^ 2 end",
        after = "for _, logit in ipairs(logits) do squares = squares + (logit - mean) ^ 1 end",
        why = "The scale in which the fit is looked for, which it does not depend on.",
    },
    {
        path = "kernels/matmul.cl", before = "for (; k + LANES <= depth; k += LANES) {",
        after = "for (; k + LANES < depth; k += LANES) {",
        why = "The last lanes are summed one by one instead.",
    },
    {
        path = "kernels/matmul.cl", before = "#define EVEN 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30",
        after = "#define EVEN 0, 2, 4, 6, 8, 10, 12, 14, 15, 18, 20, 22, 24, 26, 28, 30",
        why = "Lanes of AVX-512, for which mutations are not built.",
    },
    {
        path = "kernels/conv2d.h", before = "#define CONV2D_PIXELS_OF_TWO(lanes) ((lanes) == 16 ? 7 : 6)",
        after = "#define CONV2D_PIXELS_OF_TWO(lanes) ((lanes) == 17 ? 7 : 6)",
        why = "The size of a tile for AVX-512, for which mutations are not built.",
    },
    {
        path = "examples/chest_xray/train.lua", before = "local optimizer = lx.optim.AdamW(net:parameters(), {lr = args.lr, weight_decay = 0.01})",
        after = "local optimizer = lx.optim.AdamW(net:parameters(), {lr = args.lr, weight_decay = 0.02})",
        why = "Another recipe, not a wrong one.",
    },
    {
        path = "csrc/device/blocks.c", before = "return *at >= '0' && *at <= '9' ? (size_t)strtoull(at, NULL, 10) * unit : SIZE_MAX;",
        after = "return *at > '0' && *at <= '9' ? (size_t)strtoull(at, NULL, 10) * unit : SIZE_MAX;",
        why = "A system with no memory left at all is not told.",
    },
    {
        path = "csrc/data/steps.c", before = "draw.epoch << 40 ^ (uint64_t)plane << 36 ^ place).word[0] >> 24;",
        after = "draw.epoch << 40 ^ (uint64_t)plane << 36 ^ place).word[1] >> 24;",
        why = "Another 24 bits of the same draw.",
    },
    {
        path = "csrc/device/cpu/cpu.c", before = "const bool shared = launch->work >= SHARED_FROM &&",
        after = "const bool shared = launch->work >= SHARED_FROM ||",
        why = "From how much work on threads are woken.",
    },
    {
        path = "csrc/device/cpu/cpu.c", before = "(launch->bytes >= SHARED_FROM_BYTES || launch->work >= SHARED_FROM_WORK);",
        after = "(launch->bytes >= SHARED_FROM_BYTES || launch->work > SHARED_FROM_WORK);",
        why = "From how much work on threads are woken.",
    },
    {
        path = "csrc/device/opencl/opencl.c", before = "return !self->checking && capacity == lx_block_size(capacity);",
        after = "return !self->checking || capacity == lx_block_size(capacity);",
        why = "Which buffers are kept for others of their size; without it the check of freed ones sees less.",
    },
    {
        path = "csrc/device/opencl/platforms.c", before = "for (int i = 0; i < count && i < room; i++)",
        after = "for (int i = 0; i < count && i <= room; i++)",
        why = "There is room for 64 devices.",
    },
    {
        path = "csrc/device/plan.c", before = "if (plan.width > 1 && work / ((double)size[0] * (double)rows) < 64)",
        after = "if (plan.width > 1 && work / ((double)size[0] * (double)rows) < 65)",
        why = "Into which pieces work is cut.",
    },
    {
        path = "csrc/base/file.c", before = "for (int attempt = 0; attempt < 100; attempt++, number += UINT64_C(1) << 32) {",
        after = "for (int attempt = 0; attempt < 100; attempt++, number -= UINT64_C(1) << 32) {",
        why = "Another name is tried.",
    },
    {
        path = "csrc/format/deflate.c", before = "for (int tries = 0; tries < TRIES && place >= 0 && at - place <= WINDOW && best < most; tries++) {",
        after = "for (int tries = 0; tries < TRIES && place >= 0 && at - place < WINDOW && best < most; tries++) {",
        why = "A match as far away as can be is not taken: the file becomes longer by as much.",
    },
    {
        path = "csrc/lua/bind_file.c", before = "lx_mapping **file = lua_newuserdatauv(L, sizeof *file, 0);",
        after = "lx_mapping **file = lua_newuserdatauv(L, sizeof *file, 1);",
        why = "Room for a value that nobody puts there.",
    },
    {
        path = "csrc/lua/bind_loader.c", before = "return 1;",
        after = "return 2;",
        why = "A second value that nobody takes.",
    },
    {
        path = "csrc/ops/reduce.c", before = "return error->code;",
        after = "{}",
        why = "The kernel goes over nothing, and the error stays that of the call.",
    },
    {
        path = "examples/chest_xray/common.lua", before = "table.sort(names)",
        after = "",
        why = "There is one network.",
    },
    {
        path = "examples/chest_xray/learn_quality.lua", before = [[others("parts, shuffled and drawn pictures", others_of(load(sets[1][3]), -1))]],
        after = [[others("parts, shuffled and drawn pictures", others_of(load(sets[1][3]), 1))]],
        why = "Other pictures of the same kind, of images that nothing was learnt from.",
    },
    {
        path = "examples/chest_xray/train.lua", before = "local scheduler = lx.optim.lr_scheduler.CosineWarmup(optimizer, {warmup = math.max(1, steps // 20), total = steps})",
        after = "local scheduler = lx.optim.lr_scheduler.CosineWarmup(optimizer, {warmup = math.min(1, steps // 20), total = steps})",
        why = "Another recipe, not a wrong one.",
    },
    {
        path = "kernels/layout.cl", before = "#define LOWER (uint16)(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)",
        after = "#define LOWER (uint16)(0, 16, 2, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)",
        why = "Vectors of AVX-512, for which mutations are not built.",
    },
    {
        path = "kernels/luxel.h", before = "#define store_lanes(value, pointer) vstore4((value), 0, (pointer))",
        after = "#define store_lanes(value, pointer) vstore4((value), 1, (pointer))",
        why = "Vectors of 4 in OpenCL, which the stage with Oclgrind runs and mutations do not.",
    },
    {
        path = "kernels/norm.cl", before = [[for (; i + 4 <= end; i += 4) { \]],
        after = [[for (; i + 4 < end; i += 4) { \]],
        why = "The last four are summed one by one instead.",
    },
    {
        path = "lua/luxel/data/mix.lua", before = "if v > 0 and math.log(1 - stream:uniform(0, 1)) < normal * normal / 2 + d - d * v + d * math.log(v) then",
        after = "if v >= 0 and math.log(1 - stream:uniform(0, 1)) < normal * normal / 2 + d - d * v + d * math.log(v) then",
        why = "A draw that is exactly 0 does not happen, and its logarithm would refuse it too.",
    },
    {
        path = "lua/luxel/data/phantom.lua", before = "value = value - trachea * exp(-((left + x * step) / 0.018) ^ 2)",
        after = "value = value - trachea * exp(-((left + x * step) / -0.018) ^ 2)",
        why = "The sign is lost in the square.",
    },
    {
        path = "lua/luxel/io/safetensors.lua", before = "if length < 2 or length > HEADER_LIMIT or length > size - 8 then",
        after = "if length < 2 or length >= HEADER_LIMIT or length > size - 8 then",
        why = "A header of exactly 100 MB.",
    },
    {
        path = "lua/luxel/nn/functional.lua", before = "local MOST <const> = 2 ^ 31 - 1 -- of the sizes of results",
        after = "local MOST <const> = 2 ^ 31 - 2 -- of the sizes of results",
        why = "A result of 2^31 - 1 pixels along a side does not fit into memory either.",
    },
    {
        path = "lua/luxel/nn/functional.lua", before = "if size[i] < 1 or size[i] > MOST then",
        after = "if size[i] < 1 or size[i] >= MOST then",
        why = "A result of 2^31 - 1 pixels along a side does not fit into memory either.",
    },
    {
        path = "lua/luxel/tensor.lua", before = "if n > 0 then core.fill_(core.as_strided(out, {n}, {n + 1}, 0), 1) end",
        after = "if n >= 0 then core.fill_(core.as_strided(out, {n}, {n + 1}, 0), 1) end",
        why = "Writes nothing into nothing.",
    },
    {
        path = "csrc/data/loader.c", before = "pthread_mutex_lock(&self->lock);", after = "",
        why = "ThreadSanitizer's stage of the tests notices it, which mutations do not run.",
    },
    {
        path = "csrc/device/opencl/user.c", before = "for (int i = 0; i < kernel->count; i++)",
        after = "for (int i = 0; i <= kernel->count; i++)",
        why = "One place more is looked at, which is empty unless a kernel has as many parameters as there may be.",
    },
    {
        path = "csrc/base/pool.c", before = "for (int i = 0; i < pool->started; i++)",
        after = "for (int i = 0; i <= pool->started; i++)",
        why = [[ThreadSanitizer's stage of the tests notices it, which mutations do not run.]],
    },
    {
        path = "csrc/base/file.c", before = "if (file >= 0)",
        after = "if (file > 0)",
        why = "A descriptor 0 that cannot be claimed is left open.",
    },
    {
        path = "csrc/format/tiff.c", before = "return (size_t)(info->width + 32) * (size_t)(info->height + 32) * 16 + 2 * in->size + (1 << 20);",
        after = "return (size_t)(info->width + 32) * (size_t)(info->height + 32) * 16 + 2 * in->size - (1 << 20);",
        why = "How much memory a small file may take.",
    },
    {
        path = "csrc/ops/norm_simt.c", before = "LX_SIMT_KERNEL(norm, batch_norm_groups, 5);",
        after = "LX_SIMT_KERNEL(norm, batch_norm_groups, 6);",
        why = "The result is noted as read; it is new, and nobody has an older version of it.",
    },
    {
        path = "kernels/simt/conv2d.cl", before = "for (int c = 0; c < 4; c++)",
        after = "for (int c = 0; c <= 4; c++)",
        why = [[Oclgrind's stage of the tests notices it, which mutations do not run.]],
    },
    {
        path = "kernels/simt/winograd.cl", before = "#define ITEM_M 8",
        after = "#define ITEM_M 7",
        why = "The host says the number whenever it builds the kernel.",
    },
    {
        path = "kernels/simt/winograd.cl", before = "for (int i = 0; i < 16; i++) {",
        after = "for (int i = 0; i < 17; i++) {",
        why = "A bit that nobody reads.",
    },
    {
        path = "lua/luxel/json.lua", before = [[if type(value) ~= "table" or not value.json then error(value, 0) end]],
        after = [[if type(value) ~= "table" and not value.json then error(value, 0) end]],
        why = [[An error of the programmer's, which no text leads to.]],
    },
    {
        path = "lua/luxel/types.lua", before = "for i = 1, 3 do",
        after = "for i = 1, 3 - 1 do",
        why = "Asked again in C.",
    },
}
