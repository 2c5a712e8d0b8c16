--- Kernels of the user's own: what their arguments take, what is refused and how, and gradients through them.

local lx = require "luxel"
local core = require "luxel.core"
local shell = require "spec.support.shell"

local LUA <const> = os.getenv("LUA") or "lua5.4"
local devices <const> = lx.devices() -- without opening one
local why_not <const> = devices[#devices].kind ~= "opencl" and devices.why or nil

local function kernel(name, source, options)
    return lx.opencl.kernel {name = name, source = source, options = options}
end

local function refuses(pattern, f, ...)
    local ok, message = pcall(f, ...)
    assert.is_false(ok, "no error")
    assert.matches(pattern, message)
    return message
end

local function values(tensor) return tensor:view(-1):totable() end

local SAXPY <const> = [[
__kernel void saxpy(__global const float *x, __global float *y, float a)
{
    const size_t i = get_global_id(0);
    y[i] += a * x[i];
}
]]

describe("lx.opencl.kernel without a device", function()
    it("checks what it is given", function()
        refuses('opencl.kernel: definition: expected a table of options, got "saxpy"', lx.opencl.kernel, "saxpy")
        refuses("opencl.kernel: definition: the option 'name' is needed", lx.opencl.kernel, {source = SAXPY})
        refuses("option 'source': expected text without zeros, got 1", lx.opencl.kernel, {name = "a", source = 1})
        refuses("option 'options': expected text without zeros, got a table", kernel, "a", SAXPY, {})
        refuses("option 'name': expected the name of a function in the source, got \"a b\"", kernel, "a b", SAXPY)
        refuses("unknown option 'code'; the options are name, source, options", lx.opencl.kernel, {code = SAXPY})
    end)

    it("says of cpu tensors what can be done", function()
        local x = lx.ones(4)
        refuses("saxpy: argument 1 is on the cpu device, which runs only kernels that were compiled ahead of time: "
            .. "move the tensors to an OpenCL device with t:to%('opencl'%), or put the kernel into kernels/",
            kernel("saxpy", SAXPY), {global = 4}, x, x, 1)
        local saxpy = kernel("saxpy", SAXPY)
        refuses("Kernel:build: device: the cpu device runs only kernels that were compiled ahead of time", saxpy.build,
            saxpy, "cpu")
    end)

    it("needs a tensor to know the device, and a range", function()
        local saxpy = kernel("saxpy", SAXPY)
        refuses("saxpy: none of the arguments is a tensor", saxpy, {global = 4}, 1, 2, 3)
        refuses("saxpy: range: expected a table of options, got 4", saxpy, 4)
        refuses("saxpy: range: unknown option 'groups' %(did you mean 'group'%?%)", saxpy, {global = 4, groups = 2})
        assert.equal("OpenCL kernel saxpy (not compiled yet)", tostring(saxpy))
    end)
end)

if why_not then
    pending("kernels of the user's own need an OpenCL device: " .. why_not)
    return
end

local device

local function tensor(numbers, dtype) return lx.tensor(numbers, {dtype = dtype, device = device}) end
local function zeros(n, dtype) return lx.zeros(n, {dtype = dtype, device = device}) end
local function open_device() device = lx.device("opencl").label end

describe("a kernel", function()
    setup(open_device)

    it("computes on tensors", function()
        local saxpy = kernel("saxpy", SAXPY)
        local x, y = tensor {1, 2, 3, 4, 5, 6}, tensor {10, 20, 30, 40, 50, 60}
        saxpy({global = {6}}, x, y, 2.0)
        assert.same({12.0, 24.0, 36.0, 48.0, 60.0, 72.0}, values(y))
        saxpy({global = 6, group = 3}, x, y, -2)
        assert.same({10.0, 20.0, 30.0, 40.0, 50.0, 60.0}, values(y))
        saxpy({global = {0}}, x, y, 2)
        assert.same({10.0, 20.0, 30.0, 40.0, 50.0, 60.0}, values(y))
        assert.equal("OpenCL kernel saxpy (compiled for " .. device .. ")", tostring(saxpy))
    end)

    it("describes its parameters", function()
        local mixed = kernel("mixed", [[
            __kernel void mixed(__global const float4 *a, __constant int *b, __local float *c, ulong d,
                                __global uchar *e) {}
        ]])
        assert.same({
            {name = "a", type = "float4*", written = false}, {name = "b", type = "int*", written = false},
            {name = "c", type = "float*", written = false}, {name = "d", type = "ulong", written = false},
            {name = "e", type = "uchar*", written = true},
        }, mixed:build(device))
    end)

    it("has up to three dimensions, and groups that are asked for or declared", function()
        local where = kernel("where", [[
            __kernel void where(__global int *out)
            {
                const int row = get_global_id(1) + get_global_size(1) * get_global_id(2);
                out[get_global_id(0) + get_global_size(0) * row] =
                    100 * get_local_size(0) + 10 * get_local_size(1) + get_local_size(2);
            }
        ]])
        local out = zeros({4, 3, 4}, "int32")
        where({global = {4, 3, 4}, group = {2, 3, 1}}, out)
        assert.is_true(lx.equal(out, lx.full({4, 3, 4}, 231, {dtype = "int32", device = device})))
        local declared = kernel("declared", [[
            __kernel __attribute__((reqd_work_group_size(4, 2, 1))) void declared(__global int *out)
            {
                const int i = get_global_id(0) + get_global_size(0) * get_global_id(1);
                out[i] = get_local_size(0) * 10 + get_local_size(1);
            }
        ]])
        out = zeros({4, 8}, "int32")
        declared({global = {8, 4}}, out)
        assert.is_true(lx.equal(out, lx.full({4, 8}, 42, {dtype = "int32", device = device})))
        refuses("declared: it is declared for groups of 4×2×1 work%-items, got 2 along dimension 1", declared,
            {global = {8, 4}, group = {2, 2}}, out)
        refuses("declared: 6 work%-items along dimension 1 are not a multiple of the group's 4", declared,
            {global = {6, 4}}, out)
    end)

    it("has local memory", function()
        local sum = kernel("sum", [[
            __kernel void sum(__global const float *x, __global float *out, __local float *part)
            {
                const uint i = get_local_id(0);
                part[i] = x[get_global_id(0)];
                for (uint half_ = get_local_size(0) / 2; half_ > 0; half_ /= 2) {
                    barrier(CLK_LOCAL_MEM_FENCE);
                    if (i < half_)
                        part[i] += part[i + half_];
                }
                if (i == 0)
                    out[get_group_id(0)] = part[0];
            }
        ]])
        local x, out = lx.arange(1, 65, 1, {device = device}), zeros(4)
        sum({global = {64}, group = {16}}, x, out, {local_bytes = 16 * 4})
        assert.same({136.0, 392.0, 648.0, 904.0}, values(out))
        refuses("sum: argument 3 %('part'%) is __local float%*, got the number 64; say how much with {local_bytes = "
            .. "1024}", sum, {global = 64}, x, out, 64)
        refuses("sum: a group on opencl:%d has %d+ bytes of local memory, the kernel wants 1099511627776", sum,
            {global = 64}, x, out, {local_bytes = 1 << 40})
    end)

    it("is compiled with options, for each kernel object anew", function()
        local source <const> = "__kernel void set(__global int *out) { out[get_global_id(0)] = N; }"
        local out = zeros(2, "int32")
        kernel("set", source, "-DN=4")({global = 2}, out)
        assert.same({4, 4}, values(out))
        kernel("set", source, "-DN=5 -cl-std=CL1.1")({global = 2}, out)
        assert.same({5, 5}, values(out))
    end)

    it("has one source with other kernels in it", function()
        local source <const> = "__kernel void one(__global int *o) { *o = 1; }\n"
            .. "__kernel void two(__global int *o) { *o = 2; }"
        local out = zeros(1, "int32")
        kernel("two", source)({global = 1}, out)
        assert.equal(2, out:item())
        kernel("one", source)({global = 1}, out)
        assert.equal(1, out:item())
        local three = kernel("three", source)
        refuses("three: the source has no kernel of that name; it has one;two", three.build, three)
    end)

    it("that does not build gives the compiler's log", function()
        local broken = kernel("broken", "__kernel void broken(__global float *x) { x[0] = nonsense; }")
        local message = refuses("broken does not build on ", broken, {global = 1}, zeros(1))
        assert.matches("nonsense", message)
        assert.matches("opencl:%d", message)
    end)
end)

describe("values given to a kernel", function()
    setup(open_device)

    -- Kernels that store their last argument of a type, by type.
    local function give(type, value)
        local dtype = (type:find("float") or type:find("double")) and "float32" or "int32"
        local base = dtype == "float32" and "float" or "int"
        local lanes = math.tointeger(tonumber(type:match("%d+$"))) or 1
        local stores = {}
        for lane = 0, lanes - 1 do
            stores[lane + 1] = ("out[%d] = (%s)%s;"):format(lane, base, lanes == 1 and "v" or ("v.s%x"):format(lane))
        end
        local store = kernel("store", ("__kernel void store(__global %s *out, %s v) { %s }"):format(base, type,
            table.concat(stores, " ")))
        local out = zeros(lanes, dtype)
        store({global = 1}, out, value)
        return lanes == 1 and out:item() or values(out)
    end

    it("arrive whatever their type", function()
        assert.equal(-128, give("char", -128))
        assert.equal(255, give("uchar", 255))
        assert.equal(-32768, give("short", -32768.0))
        assert.equal(65535, give("ushort", 65535))
        assert.equal(-2147483648, give("int", -2147483648))
        assert.equal(-1, give("uint", 4294967295)) -- its bits as an int
        assert.equal(-3, give("long", -3))
        assert.equal(7, give("ulong", 7))
        assert.equal(2.5, give("float", 2.5))
        assert.equal(3.0, give("float", 3))
        assert.equal(1, give("int", true))
        assert.equal(0, give("uchar", false))
        assert.equal(math.huge, give("float", math.huge))
        local nan = give("float", 0 / 0)
        assert.is_true(nan ~= nan)
        assert.same({1.0, 2.0, 3.0, 4.5}, give("float4", {1, 2, 3, 4.5}))
        assert.same({-1, 2, -3}, give("int3", {-1, 2, -3}))
    end)

    it("have all their bits", function()
        local halves = kernel("halves", [[
            __kernel void halves(__global int *out, long a, ulong b)
            {
                out[0] = (int)(a >> 32), out[1] = (int)a, out[2] = (int)(b >> 32), out[3] = (int)b;
            }
        ]])
        local out = zeros(4, "int32")
        halves({global = 1}, out, math.mininteger + 5, math.maxinteger)
        assert.same({-2147483648, 5, 2147483647, -1}, values(out))
    end)

    it("must fit", function()
        for type, wrong in pairs {char = 128, uchar = -1, short = 32768, ushort = 65536, int = 2147483648, uint = -1,
            ulong = -1} do
            local message = refuses("store: argument 2 %('v'%) is " .. type .. ", which cannot", give, type, wrong)
            assert.equal(tostring(wrong), message:match("hold (.*)$"))
        end
        refuses("is int, which cannot hold 2.5$", give, "int", 2.5)
        refuses("is int, which cannot hold %-?nan$", give, "int", 0 / 0)
        refuses("is long, which cannot hold inf$", give, "long", math.huge)
        refuses("is long, which cannot hold 1e%+30$", give, "long", 1e30)
        refuses("is float, which cannot hold 1e%+300$", give, "float", 1e300)
        refuses("store: argument 2 %('v'%) is float, got a string; give a number", give, "float", "2")
        refuses("is float, got a boolean; give a number$", give, "float", true)
        refuses("is int, got nil; give a number", give, "int", nil)
        refuses("is int, got a float32 tensor %[2%]; give a number", give, "int", zeros(2))
        refuses("is float4, got the number 1; give a list of 4 numbers", give, "float4", 1)
        refuses("is float4, got a table; give a list of 4 numbers", give, "float4", {1, 2, 3})
        refuses("is float, got a string; give a number", give, "float2", {1, "2"})
    end)

    it("of types that have another name say which they are", function()
        local named = kernel("named", [[
            typedef float real;
            __kernel void named(__global real *out, real v) { out[0] = v; }
        ]])
        local out = zeros(1)
        named({global = 1}, out, {float = 1.5})
        assert.equal(1.5, out:item())
        refuses("named: argument 2 %('v'%) is real, which is no type of OpenCL C that Lua can give; if it is another "
            .. "name for one, say which: {float = 2.0}", named, {global = 1}, out, 1.5)
        refuses("names no scalar type of OpenCL C", named, {global = 1}, out, {real = 1.5})
    end)
end)

describe("tensors given to a kernel", function()
    setup(open_device)

    local copy <const> = kernel("copy", [[
        __kernel void copy(__global const float *x, __global float *y) { y[get_global_id(0)] = x[get_global_id(0)]; }
    ]])

    it("have the type that the kernel declares", function()
        local saxpy = kernel("saxpy", SAXPY)
        local x = zeros {3, 4}
        refuses("^[^:]+:%d+: saxpy: argument 2 %('y'%) is float%*, got a uint8 tensor %[3,4%]; convert it with "
            .. ":float%(%)", function() saxpy({global = 12}, x, zeros({3, 4}, "uint8"), 2) end)
        refuses("saxpy: argument 2 %('y'%) is float%*, got the number 1; give a tensor", saxpy, {global = 12}, x, 1, 2)
        refuses("saxpy: the kernel has 3 arguments %(const float%* x, float%* y, float a%), got 2", saxpy,
            {global = 12}, x, x)
        for type, dtype in pairs {uchar = "uint8", int = "int32", uint = "int32", float4 = "float32", void = "uint8"} do
            local f = kernel("f", ("__kernel void f(__global %s *x) { *(__global uchar *)x = 1; }"):format(type))
            local out = zeros(8, dtype)
            f({global = 1}, out)
            assert.is_true(out:view(-1)[1] ~= 0, type)
        end
        refuses("is uchar%*, got a float32 tensor %[4%]; convert it with :byte%(%)",
            kernel("f", "__kernel void f(__global uchar *x) {}"), {global = 1}, zeros(4))
        refuses("is int4%*, got a float32 tensor %[4%]; convert it with :int%(%)",
            kernel("f", "__kernel void f(__global int4 *x) {}"), {global = 1}, zeros(4))
        refuses("is short%*, got a int32 tensor %[4%]; tensors hold float, int %(or uint%) and uchar",
            kernel("f", "__kernel void f(__global short *x) {}"), {global = 1}, zeros(4, "int32"))
    end)

    it("are on one device, and not freed", function()
        local x, gone = zeros(4), zeros(4)
        gone:free()
        refuses("copy: argument 2 %('y'%) is on cpu, but the first tensor is on opencl:%d; move one with :to%(device%)",
            copy, {global = 4}, x, lx.zeros(4))
        refuses("copy: argument 2 %('y'%) is a tensor that was freed", copy, {global = 4}, x, gone)
    end)

    it("may be views that start where the device can address them", function()
        local x, y = lx.arange(1, 2049, 1, {device = device}), zeros {4, 512}
        copy({global = 512}, x:narrow(1, 1025, 512), y[3])
        assert.is_true(lx.equal(y[3], x:narrow(1, 1025, 512)))
        assert.equal(0, y[2]:sum():item())
        assert.equal(0, y[4]:sum():item())
        refuses("copy: argument 1 %('x'%) is a view that starts at byte 4 of its storage, but buffers on opencl:%d "
            .. "start at multiples of %d+ bytes; pass a :clone%(%) of it$", copy, {global = 4}, x:narrow(1, 2, 4), y)
        refuses(":clone%(%) of it, and :copy_%(%) the result back$", copy, {global = 4}, x, x:narrow(1, 2, 4))
        copy({global = 4}, x:narrow(1, 2, 4):clone(), y)
        assert.same({2.0, 3.0, 4.0, 5.0}, values(y[1]:narrow(1, 1, 4)))
        copy({global = 4}, x:narrow(1, 2, 0), y:narrow(2, 2, 0)) -- nothing in it: starts anywhere
    end)

    it("have no gaps", function()
        local x = lx.arange(1, 13, 1, {device = device}):view {3, 4}
        refuses("copy: argument 1 %('x'%) is a view whose elements do not lie one after the other %(a float32 tensor "
            .. "%[4,3%]%); pass a :contiguous%(%) copy$", copy, {global = 12}, x:t(), zeros(12))
        refuses("pass a :contiguous%(%) copy of it, and :copy_%(%) the result back", copy, {global = 12}, zeros(12),
            x:narrow(2, 1, 2))
        local y = zeros {4, 3}
        copy({global = 12}, x:t():contiguous(), y)
        assert.is_true(lx.equal(y, x:t()))
    end)

    it("are copied where a kernel cannot take them", function()
        local x = lx.arange(1, 2049, 1, {device = device})
        for _, t in ipairs {x, x:view {4, 512}, x:narrow(1, 1025, 512)} do assert.equal(t, lx.opencl.dense(t)) end
        for _, t in ipairs {x:narrow(1, 2, 6), x:view({32, 64}):t(), x:view({32, 64}):narrow(2, 3, 5)} do
            local copied = lx.opencl.dense(t)
            assert.is_true(lx.equal(copied, t))
            copy({global = t:numel()}, copied, zeros(2048))
        end
    end)

    it("lose the internal layout first", function()
        local x = lx.rand({1, 3, 5, 7}, {device = device})
        local blocked = lx.nn.functional.conv2d(x, lx.rand({6, 3, 3, 3}, {device = device}))
        local y = lx.empty(blocked.shape, {device = device})
        assert.is_true(core.is_blocked(blocked))
        copy({global = y:numel()}, blocked, y)
        assert.is_true(lx.equal(y, blocked))
    end)

    it("that may be written count as changed in place", function()
        local x, y = zeros(4), zeros(4)
        local was = {core.version(x), core.version(y)}
        copy({global = 4}, x, y)
        assert.same({was[1], was[2] + 1}, {core.version(x), core.version(y)})
        pcall(copy, {global = 4, group = 3}, x, y)
        assert.equal(was[2] + 1, core.version(y))
        local a = lx.rand({4}, {device = device}):requires_grad_()
        local saved = a * 2
        local loss = saved:square():sum() -- keeps `saved`
        lx.no_grad(function() copy({global = 4}, x, saved) end)
        refuses("changed in place afterwards", loss.backward, loss)
    end)

    it("that require a gradient are not written while operations are recorded", function()
        local x, y = zeros(4), zeros(4):requires_grad_()
        refuses("copy: argument 2 %('y'%) requires a gradient, so it cannot be changed in place while operations are "
            .. "recorded, and its pointer is not const; call the kernel in lx.autograd.define or in lx.no_grad", copy,
            {global = 4}, x, y)
        refuses("requires a gradient", copy, {global = 4}, x, y * 2)
        local part = lx.no_grad(function() return y:narrow(1, 1, 4) end)
        assert.is_false(part.requires_grad)
        refuses("requires a gradient", copy, {global = 4}, x, part) -- which would change y
        copy({global = 4}, y, x)
        lx.no_grad(function() copy({global = 4}, x:fill_(3), y) end)
        assert.equal(12, y:sum():item())
    end)
end)

describe("groups of a kernel", function()
    setup(open_device)

    it("must fit", function()
        local f = kernel("f", "__kernel void f(__global float *x) { x[get_global_id(0)] = 1.0f; }")
        local x = zeros(100)
        refuses("f: 100 work%-items along dimension 1 are not a multiple of the group's 64 %(opencl:%d%); make them "
            .. "128 and let the kernel ignore those too many", f, {global = {100}, group = {64}}, x)
        refuses("f: a group on opencl:%d has at most %d+ work%-items along dimension 1, got 1048576", f,
            {global = {1 << 20}, group = {1 << 20}}, x)
        local most <const> = math.tointeger(tonumber(select(2, pcall(f, {global = 1 << 20, group = 1 << 20}, x))
            :match("at most (%d+)")))
        refuses("f: a group of this kernel has at most %d+ work%-items on opencl:%d, got " .. most * most, f,
            {global = {most, most}, group = {most, most}}, x)
        refuses("f: global has 1 sizes, group has 2; they should be as many", f, {global = 100, group = {10, 10}}, x)
        refuses("f: range: the option 'global' is needed", f, {}, x)
        refuses("f: global should have one to three sizes, got 4", f, {global = {1, 1, 1, 1}}, x)
        refuses("f: size 1 of global should be a whole number of at least 0, got %-1", f, {global = -1}, x)
        refuses("f: size 2 of global should be a whole number of at least 0, got 1.5", f, {global = {1, 1.5}}, x)
        refuses("f: size 1 of group should be a whole number of at least 1, got 0", f, {global = 1, group = 0}, x)
        assert.equal(0, x:sum():item())
    end)
end)

describe("a kernel with a gradient", function()
    setup(open_device)

    -- x^3 and its derivative, as a pair.
    local SOURCE <const> = [[
        __kernel void cube(__global const float *x, __global float *y)
        {
            const size_t i = get_global_id(0);
            y[i] = x[i] * x[i] * x[i];
        }
        __kernel void cube_backward(__global const float *x, __global const float *dy, __global float *dx)
        {
            const size_t i = get_global_id(0);
            dx[i] = 3.0f * x[i] * x[i] * dy[i];
        }
    ]]

    local function define_cube()
        local forward, backward = kernel("cube", SOURCE), kernel("cube_backward", SOURCE)
        return lx.autograd.define("cube", {
            forward = function(ctx, x)
                local y = lx.empty(x.shape, {device = x.device})
                ctx.x = lx.opencl.dense(x)
                forward({global = x:numel()}, ctx.x, y)
                return y
            end,
            backward = function(ctx, grad)
                local dx = lx.empty(ctx.x.shape, {device = grad.device})
                backward({global = dx:numel()}, ctx.x, lx.opencl.dense(grad), dx)
                return dx
            end,
        })
    end

    it("agrees with finite differences", function()
        local cube = define_cube()
        lx.manual_seed(3)
        local x = lx.randn({3, 7}, {device = device}):requires_grad_()
        local w = lx.randn({3, 7}, {device = device})
        local function loss() return (cube(x * 0.5) * w):sum() end
        loss():backward()
        local h <const>, elements, gradients = 1e-2, x:view(-1), values(x.grad)
        for i = 1, x:numel() do
            local numeric = lx.no_grad(function()
                local value = elements[i]
                elements[i] = value + h
                local above = loss():item()
                elements[i] = value - h
                local below = loss():item()
                elements[i] = value
                return (above - below) / (2 * h)
            end)
            assert.is_true(math.abs(numeric - gradients[i]) < 2e-3 * (1 + math.abs(numeric)),
                ("%d: %g, %g"):format(i, numeric, gradients[i]))
        end
        lx.autograd.registry.cube = nil
    end)

    it("takes gradients that are views", function()
        local cube = define_cube()
        local x = lx.randn({3, 5}, {device = device}):requires_grad_()
        lx.cat({cube(x[1]), cube(x[2]), cube(x[3])}, 1):sum():backward()
        assert.is_true((x.grad - x:detach():square() * 3):abs():max():item() < 1e-5)
        lx.autograd.registry.cube = nil
    end)

    it("takes part in networks", function()
        local cube = define_cube()
        local layer = lx.nn.Linear(4, 2):to(device)
        local x = lx.randn({5, 4}, {device = device})
        cube(layer(x)):sum():backward()
        local y = layer(x):detach()
        local expected = (y * y * 3):t():matmul(x)
        local difference = (layer.weight.grad - expected):abs():max():item()
        assert.is_true(difference < 1e-4, tostring(difference))
        lx.autograd.registry.cube = nil
    end)
end)

describe("profiles", function()
    setup(open_device)

    it("have kernels of the user's own, also when those are gone", function()
        local x, y = zeros(1000), zeros(1000)
        local profile = core.watch(device)
        kernel("saxpy", SAXPY)({global = 1000}, x, y, 1)
        collectgarbage()
        collectgarbage()
        local records, found = core.unwatch(device, profile), nil
        for _, record in ipairs(records) do
            if record.name == "saxpy" then found = record end
        end
        assert.is_table(found)
        assert.equal(8000, found.bytes)
        assert.is_true(found.seconds > 0)
    end)
end)

-- ---- processes of their own ---------------------------------------------------------------------------------------

describe("kernels in a process of their own", function()
    local work

    local function path(name) return work .. "/" .. name end

    -- Runs Lua text and returns what it printed, line by line.
    local function lua(variables, text)
        local file <close> = assert(io.open(path("script.lua"), "w"))
        file:write('local lx = require "luxel"\nlocal SAXPY = [[' .. SAXPY .. "]]\n" .. text)
        file:close()
        local pipe = assert(io.popen(("env %s %s %s 2>%s"):format(variables, LUA, path("script.lua"), path("stderr"))))
        local output = pipe:read("a")
        local ok = pipe:close()
        for line in io.lines(path("stderr")) do
            if not ok then output = output .. "\n" .. line end
        end
        assert(ok, output)
        local lines = {}
        for line in output:gmatch("[^\n]+") do lines[#lines + 1] = line end
        return lines
    end

    local function with_library(variables)
        return ("LUXEL_OPENCL_LIBRARY=%s FAULTY_COUNTS=%s %s"):format(path("faulty.so"), path("counts"),
            variables or "")
    end

    local function counts()
        local file <close> = assert(io.open(path("counts")))
        return file:read("a")
    end

    setup(function()
        work = shell.folder()
        assert(os.execute(("%s -shared -fPIC -o %s spec/support/faulty_opencl.c -ldl -Wl,-z,nodelete "
            .. "-Wl,--no-as-needed -l:libOpenCL.so.1"):format(os.getenv("CC") or "cc", path("faulty.so"))))
    end)

    teardown(function() shell.remove(work) end)

    it("run on several devices", function()
        local lines = lua("POCL_DEVICES='pthread basic'", [[
            local saxpy = lx.opencl.kernel {name = "saxpy", source = SAXPY}
            if not lx.device("opencl:2") then return end
            for _, device in ipairs {"opencl:1", "opencl:2"} do
                local x, y = lx.ones(8, {device = device}), lx.ones(8, {device = device})
                saxpy({global = 8}, x, y, 2)
                print(y:sum():item())
            end
            local x, y = lx.ones(8, {device = "opencl:1"}), lx.ones(8, {device = "opencl:2"})
            print(select(2, pcall(saxpy, {global = 8}, x, y, 2)))
            print(saxpy)
        ]])
        if #lines == 0 then pending("there is one device here") return end
        assert.same({"24.0", "24.0"}, {lines[1], lines[2]})
        assert.matches("saxpy: argument 2 %('y'%) is on opencl:2, but the first tensor is on opencl:1", lines[3])
        assert.equal("OpenCL kernel saxpy (compiled for opencl:1, opencl:2)", lines[4])
    end)

    it("leave nothing behind, whatever goes wrong", function()
        lua(with_library(), [[
            local x, y = lx.ones(2048, {device = "opencl"}), lx.ones(2048, {device = "opencl"})
            for _ = 1, 3 do
                local saxpy = lx.opencl.kernel {name = "saxpy", source = SAXPY}
                saxpy({global = 1024}, x:narrow(1, 1025, 1024), y:narrow(1, 1025, 1024), 1)
                pcall(saxpy, {global = 1024, group = 1000}, x:narrow(1, 1025, 1024), y, 1)
                pcall(saxpy, {global = 1024}, x:narrow(1, 1025, 1024), y, "1")
                pcall(saxpy, {global = 1024}, x:narrow(1, 1025, 1024), y:narrow(1, 2, 1024), 1)
                pcall(lx.opencl.kernel {name = "none", source = SAXPY}.build, {name = "none", source = SAXPY})
                pcall(lx.opencl.kernel {name = "saxpy", source = SAXPY .. "!"}, {global = 1}, x, y, 1)
                pcall(lx.opencl.kernel {name = "none", source = SAXPY}, {global = 1}, x, y, 1)
            end
            assert(y:sum():item() == 1024 + 1024 * 4)
        ]])
        assert.matches("allocated=0 kernels=0 programs=0", counts())
        local lines = lua(with_library("FAULTY_LAUNCH=3"), [[
            local x, y = lx.ones(2048, {device = "opencl"}), lx.ones(2048, {device = "opencl"})
            local saxpy = lx.opencl.kernel {name = "saxpy", source = SAXPY}
            for _ = 1, 2 do print(pcall(saxpy, {global = 1024}, x, y:narrow(1, 1025, 1024), 1)) end
        ]])
        assert.matches("^false\t.*opencl:1 %(.+%): saxpy: out of resources", lines[1])
        assert.equal("true", lines[2])
        assert.matches("allocated=0 kernels=0 programs=0", counts())
    end)

    it("keep their device, and close in any order", function()
        local lines = lua(with_library(), [[
            local x, saxpy, last, first
            last = setmetatable({}, {__gc = function() print(select(2, pcall(saxpy.build, saxpy, "opencl:1"))) end})
            x, saxpy = lx.ones(1, {device = "opencl"}), lx.opencl.kernel {name = "saxpy", source = SAXPY}
            saxpy({global = 1}, x, lx.ones(1, {device = "opencl"}), 1)
            first = setmetatable({}, {__gc = function()
                saxpy({global = 1}, x, x, 1)
                print(x:item())
            end})
            kept = {last, first} -- a global: closed with the state
        ]])
        assert.equal("2.0", lines[1])
        assert.matches("this kernel was released: the lua_State is being closed", lines[2])
        assert.matches("allocated=0 kernels=0 programs=0", counts())
    end)

    it("take what can be checked where the driver tells nothing of arguments", function()
        local lines = lua(with_library("FAULTY_ARGUMENTS=1"), [[
            local saxpy = lx.opencl.kernel {name = "saxpy", source = SAXPY}
            local x, y = lx.ones(4, {device = "opencl"}), lx.ones(4, {device = "opencl"})
            saxpy({global = 4}, x, y, {float = 2})
            print(y:sum():item(), next(saxpy:build()[1]))
            print(select(2, pcall(saxpy, {global = 4}, x, y, 2)))
            print(select(2, pcall(saxpy, {global = 4}, x, y, {double = 2})))
            print(select(2, pcall(saxpy, {global = 4}, x, y)))
            print(select(2, pcall(saxpy, {global = 4}, x, y:requires_grad_(), {float = 2})))
            local size = lx.opencl.kernel {name = "size", source =
                "__kernel void size(__local int *t, __global int *y) { t[0] = 7; y[0] = t[0]; }"}
            local out = lx.zeros(1, {dtype = "int32", device = "opencl"})
            size({global = 1}, {local_bytes = 4}, out)
            print(out:item())
        ]])
        assert.equal("12.0\tnil", lines[1])
        assert.matches("saxpy: argument 3 has a type that the driver of opencl:1 does not tell, got the number 2; give "
            .. "a tensor, a number as {float = 2.0} or {int = 3}, or {local_bytes = 1024}", lines[2])
        assert.matches("saxpy: argument 3: an argument has the wrong size", lines[3])
        assert.matches("saxpy: the kernel has 3 arguments, got 2", lines[4])
        assert.matches("argument 2 requires a gradient, .* %(the driver does not tell whether the kernel does%)",
            lines[5])
        assert.equal("7", lines[6])
    end)

    it("are kept on disk, with what the driver told of arguments", function()
        local run <const> = [[
            local saxpy = lx.opencl.kernel {name = "saxpy", source = SAXPY, options = "-DKEPT"}
            local x, y = lx.ones(4, {device = "opencl"}), lx.ones(4, {device = "opencl"})
            saxpy:build()
            saxpy({global = 4}, x, y, 2)
            print(y:sum():item(), saxpy:build()[1].type)
        ]]
        local cache = "LUXEL_CACHE_DIR=" .. path("cache")
        assert.same({"12.0\tfloat*"}, lua(with_library(cache), run))
        assert.same({"12.0\tfloat*"}, lua(with_library(cache .. " FAULTY_ARGUMENTS=1"), run))
        assert.matches("sources=0 ", counts())
    end)
end)
