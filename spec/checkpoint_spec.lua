--- Model files: read as safetensors' reference implementation reads them, protected by a checksum and a schema, and
--- never used where anything about them is wrong. The golden files are of spec/golden/make_safetensors.py.

local cjson = require "cjson"
local core = require "luxel.core"
local json = require "luxel.json"
local lfs = require "lfs"
local lx = require "luxel"
local random = require "luxel.random"
local shell = require "spec.support.shell"
local nn = lx.nn

local LUA <const> = os.getenv("LUA") or "lua5.4"

local work

local function write(name, text) return shell.write(work .. "/" .. name, text) end

-- A safetensors file of a header and bytes.
local function assemble(header, bytes) return ("<s8"):pack(header) .. (bytes or "") end

-- The same numbers, NaN being equal to NaN, and 0 not to -0.
local function same_numbers(expected, got, what)
    assert.same(expected.shape, got.shape, what)
    assert.equal(expected.dtype, got.dtype, what)
    local left, right = core.to_table(expected:flatten()), core.to_table(got:flatten())
    for i, number in ipairs(left) do
        local same = number == right[i] and 1 / number == 1 / right[i] or number ~= number and right[i] ~= right[i]
        if not same then error(("%s: number %d is %s, expected %s"):format(what, i, right[i], number)) end
    end
end

setup(function()
    work = shell.folder()
end)

teardown(function() shell.remove(work) end)

describe("safetensors of others", function()
    it("have numbers of every type", function()
        local tensors = assert(lx.load("spec/golden/dtypes.safetensors"))
        local types = 0
        for name, tensor in pairs(tensors) do
            local expected = tensors[name .. "/expected"]
            if expected then
                types = types + 1
                same_numbers(expected, tensor, name)
            end
        end
        assert.equal(18, types)
        assert.same({}, tensors.scalar.shape)
        assert.equal("int32", tensors.scalar.dtype)
        assert.equal(41, tensors.scalar:item())
        assert.same({{0, 1, 2}, {3, 4, 5}}, tensors.matrix:totable())
        assert.same({0, 3}, tensors.empty.shape)
    end)

    it("have numbers that are out of range, or of types that cannot be held: refused by name", function()
        local function refuses(dtype, bytes, pattern)
            local header = ('{"w":{"dtype":"%s","shape":[%d],"data_offsets":[0,%d]}}'):format(dtype,
                dtype == "F4" and 2 * #bytes or 1, #bytes)
            local tensors, message, code = lx.load(write("range.safetensors", assemble(header, bytes)))
            assert.is_nil(tensors, dtype)
            assert.matches("tensor 'w'", message, 1, true)
            assert.matches(dtype, message, 1, true)
            assert.matches(pattern, message)
            assert.equal("format", code)
        end
        refuses("I64", ("<i8"):pack(2 ^ 31 // 1 | 0), "2147483648, which int32 does not hold")
        refuses("I64", ("<i8"):pack(-(1 << 31) - 1), "%-2147483649, which")
        refuses("I64", ("<i8"):pack(math.mininteger), "%-9223372036854775808, which")
        refuses("U32", ("<I4"):pack(1 << 31), "2147483648, which")
        refuses("U64", ("<I8"):pack(-1), "18446744073709551615, which")
        refuses("F64", ("<d"):pack(1e39), "1e%+39, which float32 does not hold")
        refuses("F64", ("<d"):pack(-math.huge + 0 == -math.huge and -1.7e308), "float32 does not hold")
        refuses("BOOL", "\2", "is 2, expected 0 or 1")
        refuses("C64", ("\0"):rep(8), "complex")
        refuses("F4", "\0", "4 bits")
        refuses("F6_E2M3", "\0\0\0", "6 bits")
        refuses("F6_E3M2", "\0\0\0", "6 bits")
        refuses("F33", "\0\0\0\0", "none of this name")
    end)

    -- What the reference implementation reads and Luxel refuses on purpose.
    local STRICTER <const> = {
        ["repeated name"] = "comes twice", ["repeated name, escaped"] = "comes twice",
        ["repeated key of metadata"] = "comes twice",
    }

    it("are read where the reference implementation reads them, and refused where it refuses them", function()
        local count = 0
        for _, case in ipairs(cjson.decode(shell.read("spec/golden/judged.json"))) do
            local raw = case.bytes:gsub("%x%x", function(digits) return string.char(tonumber(digits, 16)) end)
            local tensors, message, code = lx.load(write("judged.safetensors", raw))
            local stricter = STRICTER[case.name]
            if case.reads and not stricter then
                assert.is_table(tensors, ("%s: %s"):format(case.name, message))
            else
                assert.is_nil(tensors, case.name)
                assert.matches(stricter or "not a usable safetensors file", message)
                assert.equal("format", code)
            end
            count = count + 1
        end
        assert.equal(82, count)
    end)

    it("are told from those of torch.save, also where a header's length looks like one", function()
        for _, start in ipairs {"PK\3\4", "\x80\2"} do
            local tensors, message, code = lx.load(write("model.pth", start .. ("x"):rep(100)))
            assert.is_nil(tensors)
            assert.matches("looks like one of torch.save, which lx.io.torch.load reads", message)
            assert.equal("format", code)
        end
        local _, cut = lx.load(write("cut", ("y"):rep(9)))
        assert.matches("the length of its header is wrong; was it cut off", cut)
        local header = '{"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}'
        local path = write("padded", assemble(header .. (" "):rep(0x280 - #header), "\7"))
        assert.equal("\x80\2", shell.read(path):sub(1, 2))
        assert.equal(7, assert(lx.load(path)).x:item())
    end)

    it("have more dimensions than tensors have: refused", function()
        local header = '{"w":{"dtype":"U8","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,1]}}'
        local tensors, message = lx.load(write("dims.safetensors", assemble(header, "\0")))
        assert.is_nil(tensors)
        assert.matches("9 dimensions", message)
    end)

    it("keep their metadata byte for byte", function()
        local _, metadata = assert(lx.load("spec/golden/foreign.safetensors"))
        assert.same({version = "1.10", nothing = "null", text = "  ü \"q\" {\n", list = "[1, 2]"}, metadata)
    end)

    it("hold a PyTorch network with batch normalisation, which computes the same here", function()
        local tensors, weights = assert(lx.load("spec/golden/foreign.safetensors")), {}
        for name, tensor in pairs(tensors) do
            if name:find("^net%.") then weights[name:sub(5)] = tensor end
        end
        for _, assign in ipairs {false, true} do
            local net = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(75, 2))
            net:load_state_dict(weights, {assign = assign})
            assert.equal(3, net:state_dict()["1.num_batches_tracked"]:item())
            assert.is_true(lx.allclose(net:eval()(tensors.x), tensors.y, 1e-5, 1e-6))
        end
        -- files of PyTorch before 0.4.1 do not count the batches; they have all the rest
        weights["1.num_batches_tracked"] = nil
        local net = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(75, 2))
        net:load_state_dict(weights)
        assert.is_true(lx.allclose(net:eval()(tensors.x), tensors.y, 1e-5, 1e-6))
        weights["1.running_mean"] = nil
        assert.error_matches(function() net:load_state_dict(weights) end, "missing: 1%.running_mean")
    end)

    it("with batch normalisation go to PyTorch, which takes them strictly", function()
        local python = "env -u LD_PRELOAD /usr/bin/python3"
        if not os.execute(python .. " -c 'import torch' 2>/dev/null") then
            pending("python3-torch is not installed")
            return
        end
        local net = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(27, 2))
        net(lx.randn(4, 1, 5, 5))
        net:eval()
        local x = lx.randn(2, 1, 5, 5)
        local tensors = net:state_dict()
        tensors.x, tensors.y = x, net(x)
        local path = work .. "/torch.safetensors"
        assert(lx.save(path, tensors))
        local script = write("read.py", [==[
import json, struct, sys, torch, torch.nn as nn
raw = open(sys.argv[1], "rb").read()
n = struct.unpack("<Q", raw[:8])[0]
header = json.loads(raw[8:8 + n]); header.pop("__metadata__", None)
types = {"F32": torch.float32, "I32": torch.int32}
t = {}
for name, e in header.items():
    a, b = e["data_offsets"]
    t[name] = torch.frombuffer(bytearray(raw[8 + n + a:8 + n + b]), dtype=types[e["dtype"]]).reshape(e["shape"])
x, y = t.pop("x"), t.pop("y")
net = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(27, 2)).eval()
net.load_state_dict(t, strict=True)
assert net[1].num_batches_tracked == 1 and net[1].num_batches_tracked.dtype == torch.int64
assert torch.allclose(net(x), y, atol=1e-5), (net(x), y)
]==])
        assert.is_true(os.execute(("%s '%s' '%s'"):format(python, script, path)))
    end)
end)

describe("JSON", function()
    it("comes back as it was, integers as integers and floats to the last bit", function()
        local value = {
            whole = 2 ^ 53 // 1 | 0, least = math.mininteger, two = 2.0, sum = 0.1 + 0.2, small = 5e-324, minus = -0.0,
            large = 1.7976931348623157e308, text = "ü\n\"\\\127\1", list = {1, {true, false}}, [""] = {a = {b = "c"}},
        }
        local back = assert(json.decode(assert(json.encode(value))))
        assert.same(value, back)
        assert.equal("float", math.type(back.two))
        assert.equal("integer", math.type(back.whole))
        assert.equal(-math.huge, 1 / back.minus)
        assert.equal('{"a":1,"b":[],"c":{}}', (json.encode {c = {}, a = 1, b = {}}:gsub('"b":{}', '"b":[]')))
    end)

    it("that is not finite, no UTF-8, no list, or without an end is refused by name", function()
        local round = {}
        round.round = round
        for pattern, value in pairs {
            ["x%.y%[2%] is NaN"] = {y = {1, 0 / 0}}, ["x%.y is inf"] = {y = math.huge},
            ["x%.z is no UTF%-8"] = {z = "\xff"},
            ["x has the key [13]"] = {1, nil, 3}, ["x has the key 1"] = {1, a = 2},
            ["x%.f is a function"] = {f = print},
            ["is a table in itself"] = round,
        } do
            local text, message = json.encode(value, "x")
            assert.is_nil(text, pattern)
            assert.matches(pattern, message)
        end
    end)
end)

describe("files of lx.save", function()
    local METADATA <const> = {
        note = "1.10", list = {1.5, 2}, a = 1, b = 2, c = {d = 4, e = 5, f = {g = 6}}, whole = 2.0,
    }

    local function save(name, metadata)
        lx.manual_seed(5)
        local path = work .. "/" .. name
        assert(lx.save(path, {
            w = lx.randn(5, 7), b = lx.randn(3), k = lx.arange(4):int(), u = lx.full({5}, 7, {dtype = "uint8"}),
        }, metadata or METADATA))
        return path
    end

    it("are the same bytes for the same contents, in every process", function()
        local script = ([[
            local lx = require "luxel"
            lx.manual_seed(5)
            local metadata = {}
            for i = 40, 1, -1 do metadata["key" .. i] = {x = i, y = i / 3, z = {i, i + 1}} end
            assert(lx.save(arg[1], {w = lx.randn(5, 7), b = lx.randn(3), k = lx.arange(4):int()}, metadata))
        ]])
        local path, first = write("same.lua", script), nil
        for i = 1, 4 do
            local out = ("%s/same%d.safetensors"):format(work, i)
            assert(os.execute(("%s '%s' '%s'"):format(LUA, path, out)))
            first = first or shell.read(out)
            assert.equal(first, shell.read(out))
        end
    end)

    it("give metadata back exactly", function()
        local _, metadata = assert(lx.load(save("exact.safetensors", METADATA)))
        assert.same(METADATA, metadata)
        assert.equal("float", math.type(metadata.whole))
        assert.equal("integer", math.type(metadata.a))
    end)

    it("are what others can read: text for metadata, aligned, no byte left over", function()
        local text = shell.read(save("plain.safetensors"))
        local header = cjson.decode((("<s8"):unpack(text)))
        for _, value in pairs(header.__metadata__) do assert.is_string(value) end
        assert.equal('"1.10"', header.__metadata__.note)
        header.__metadata__ = nil
        for name, entry in pairs(header) do
            assert.equal(0, entry.data_offsets[1] % (entry.dtype == "U8" and 1 or 4), name)
        end
        assert.equal(0, (#text - header.u.data_offsets[2]) % 64)
        assert.equal(#text, (8 + ("<I8"):unpack(text)) + header.u.data_offsets[2])
    end)

    it("are recognised after another program put the same contents in another order", function()
        local text = shell.read(save("order.safetensors"))
        local header, start = ("<s8"):unpack(text)
        header = json.decode(header)
        local parts, bytes, offset = {'"__metadata__":' .. json.encode(header.__metadata__)}, {}, 0
        for _, name in ipairs {"w", "u", "k", "b"} do
            local entry = header[name]
            local from, to = entry.data_offsets[1], entry.data_offsets[2]
            bytes[#bytes + 1] = text:sub(start + from, start + to - 1)
            parts[#parts + 1] = ('\n "%s": {"shape": [%s], "data_offsets": [%d,%d], "dtype": "%s"}'):format(name,
                table.concat(entry.shape, ", "), offset, offset + to - from, entry.dtype)
            offset = offset + to - from
        end
        local other = write("other.safetensors", assemble("{" .. table.concat(parts, ", ") .. "}", table.concat(bytes)))
        local tensors, metadata = assert(lx.load(other))
        local expected = assert(lx.load(work .. "/order.safetensors"))
        for name, tensor in pairs(expected) do assert.is_true(lx.equal(tensor, tensors[name])) end
        assert.same(METADATA, metadata)
        -- and with a tensor exchanged for another one it is refused
        bytes[1] = bytes[1]:sub(1, -2) .. string.char(bytes[1]:byte(-1) ~ 1)
        other = write("other.safetensors", assemble("{" .. table.concat(parts, ", ") .. "}", table.concat(bytes)))
        local none, message, code = lx.load(other)
        assert.is_nil(none)
        assert.matches("other.safetensors cannot be used: its checksum does not fit", message)
        assert.equal("format", code)
    end)

    it("with any bit changed are refused, or have the same contents", function()
        local path = save("bits.safetensors")
        local text, tensors, metadata = shell.read(path), assert(lx.load(path))
        local refused, stream = 0, random.stream(9)
        for _ = 1, 500 do
            local at, bit = stream:integer(1, #text), stream:integer(0, 7)
            local changed = text:sub(1, at - 1) .. string.char(text:byte(at) ~ 1 << bit) .. text:sub(at + 1)
            local found, other, code = lx.load(write("bit.safetensors", changed))
            if found then
                for name, tensor in pairs(tensors) do assert.is_true(lx.equal(tensor, found[name])) end
                assert.same(metadata, other)
            else
                refused = refused + 1
                assert.equal("format", code)
                assert.matches("bit.safetensors", other, 1, true)
            end
        end
        assert.is_true(refused >= 495)
    end)

    it("that a later Luxel wrote, or that lost a part of their metadata, are refused", function()
        local text = shell.read(save("later.safetensors"))
        for pattern, change in pairs {
            ["format \"2\".*later one"] = {'"luxel.format":"1"', '"luxel.format":"2"'},
            ["own metadata is missing"] = {'"luxel.format":"1",', ""},
            ["metadata is missing"] = {'"luxel.checksum":"xxh64:%x+",', ""},
            ["checksum does not fit"] = {'"a":"1"', '"a":"3"'},
        } do
            local header, start = ("<s8"):unpack(text)
            local changed, n = header:gsub(change[1], change[2])
            assert.equal(1, n, pattern)
            local none, message = lx.load(write("later.safetensors", assemble(changed, text:sub(start))))
            assert.is_nil(none)
            assert.matches(pattern, message)
        end
    end)

    it("cannot be made of what others could not read, and nothing is written", function()
        local path = work .. "/never.safetensors"
        local function refuses(pattern, tensors, metadata)
            assert.error_matches(function() lx.save(path, tensors, metadata) end, pattern)
            assert.is_nil(lfs.attributes(path, "mode"))
        end
        refuses("save: tensors: 'w' should be a tensor, got 3", {w = 3})
        refuses("save: tensors: 1 is no name", {lx.ones(2)})
        refuses("expected tensors by name, got a Linear; .* net:state_dict%(%)", lx.nn.Linear(2, 1))
        refuses("save: tensors: \"__metadata__\" is no name", {__metadata__ = lx.ones(2)})
        refuses("save: tensors: .* is no name", {["\xff"] = lx.ones(2)})
        refuses("save: metadata cannot be stored: x%.y is NaN", {}, {x = {y = 0 / 0}})
        refuses("save: metadata cannot be stored: x is inf", {}, {x = math.huge})
        refuses("save: metadata: names that begin with 'luxel%.'", {}, {["luxel.format"] = 1})
        refuses("save: metadata: 1 is no name", {}, {"x"})
        assert.error_matches(function() lx.save(path, nil) end, "save: .*tensors: expected a table, got nil")
        assert.error_matches(function() lx.load(3) end, "load: path: expected a %a+, got 3")
    end)

    it("have the checksum that XXH64 gives", function()
        -- of Python's xxhash, of the first n letters of a to z, 0 to 9, again and again
        local text = ("abcdefghijklmnopqrstuvwxyz0123456789"):rep(40)
        for n, expected in pairs {
            [0] = "ef46db3751d8e999", [1] = "d24ec4f1a98c6e5b", [3] = "44bc2cf5ad770999", [4] = "de0327b0d25d92cc",
            [7] = "1860940e2902822d", [8] = "3ad351775b4634b7", [12] = "4b09b7d3a233d4b3", [31] = "16058c7b947da137",
            [32] = "bf2cd639b4143b80", [33] = "4f89e4082bcbf673", [63] = "e1d5bec70d85cd20", [64] = "040d7eb5d0212db5",
            [100] = "5f009d36eeb305be", [1000] = "c1c170c6c2158bc4",
        } do
            assert.equal(expected, ("%016x"):format(core.checksum(text:sub(1, n))))
        end
    end)
end)

-- ---- models -------------------------------------------------------------------------------------------------------

-- Metadata as train.lua writes them.
local function described(changes)
    local metadata = {
        schema = 2, task = "binary", version = "0.2.0", model = "cnn", size = 16, classes = {"NORMAL", "INFECTED"},
        positive = "INFECTED", folders = {"NORMAL", "PNEUMONIA"}, input = {channels = 1, low = 0, high = 1},
        normalisation = {mean = 0.5, std = 0.25}, threshold = 0.4, calibration = {scale = 1.5, shift = -0.2},
        chosen = {threshold = "Youden's index", calibration = "Platt's scaling", images = 30}, seed = 1, epoch = 3,
        metrics = {loss = 0.5, val_loss = 0.6, val_auc = 0.9, val_accuracy = 0.8}, trained_on = {pixels = "",
            patients = "", images = 60}, images = 60,
    }
    for name, change in pairs(changes or {}) do
        if change == "none" then metadata[name] = nil else metadata[name] = change end
    end
    return metadata
end

-- What is wrong with metadata, by the name that the error must give.
local WRONG <const> = {
    schema = {1, 3, "2", 1.5, {}}, task = {"many", 1}, version = {"", 1}, model = {"", 3, {}},
    size = {0, -1, 5000, 16.5, "16", {16, 16}},
    classes = {{}, {"A"}, {"A", "A"}, {"A", ""}, {"A", "B", "C"}, "AB", {1, 2}, {A = "INFECTED"}},
    positive = {"NORMAL", "", "other", 1}, folders = {{"A"}, "A", {1, 2}},
    input = {
        {}, 1, {channels = 2, low = 0, high = 1}, {channels = 1, low = -1, high = 1},
        {channels = 1, low = 0, high = 255},
    },
    normalisation = {
        {}, {mean = 0.5}, {std = 0.25}, {mean = 0.5, std = 0}, {mean = 0.5, std = -1}, {mean = 0.5, std = 1e-300},
        {mean = 1e308, std = 0.25}, {mean = "0.5", std = 0.25}, {mean = 0.5, std = 0.25, media = 1}, 0.5,
        {mean = 0.5, std = 0.25, enhance = {{step = "sharpen-it"}}}, {mean = 0.5, std = 0.25, enhance = "clahe"},
    },
    threshold = {-0.1, 1.1, 1e308, "0.5", {}, true},
    calibration = {
        1e308, true, {}, {scale = 1e308, shift = 0}, {scale = 1, shift = 1e308}, {scale = 1},
        {scale = "1", shift = 0}, {scale = 1, shift = 0, bias = 1}, {temperature = 0}, {a = -1, b = 1, c = 0},
        {a = 1, b = 1}, {logits = {1, 2}, probabilities = {0.5}}, {logits = {2, 1}, probabilities = {0, 1}},
        {logits = {1, 2}, probabilities = {0.5, 0.4}}, {logits = {1, 2}, probabilities = {0.5, 1.1}},
    },
    chosen = {{}, "by hand", {threshold = "x", calibration = "y", images = 0}},
    seed = {1.5, "1"}, epoch = {-1, 1.5, "3"}, metrics = {{loss = "low"}, {{}}, 3}, trained_on = {{}, 1, "", {
        pixels = "", patients = 1, images = 2}},
    images = {-1, 2.5},
    training = {{}, true, {state = {}}},
}

describe("the schema of models", function()
    it("takes what train.lua writes, and models without a calibration", function()
        for _, changes in ipairs {
            {}, {calibration = false}, {calibration = {temperature = 2.5}},
            {calibration = {a = 0.0, b = 1.5, c = -1.0}},
            {calibration = {logits = {-1.5, 0.1, 3.0}, probabilities = {0.1, 0.1, 0.9}}},
            {threshold = 0}, {threshold = 1}, {mine = {anything = "goes"}},
            {normalisation = {mean = 0.5, std = 0.25, enhance = {{step = "clahe"}, {step = "median", size = 3}}}},
        } do
            local path = work .. "/model.safetensors"
            assert(lx.save(path, {w = lx.ones(2)}, described(changes)))
            local tensors, metadata = lx.load(path)
            assert.is_table(tensors, metadata)
            assert.same(described(changes), metadata)
        end
    end)

    it("refuses every field that is wrong, by name", function()
        local count = 0
        for name, values in pairs(WRONG) do
            for _, value in ipairs(values) do
                local path = work .. "/wrong.safetensors"
                assert(lx.save(path, {w = lx.ones(2)}, described {[name] = value}))
                local tensors, message, code = lx.load(path)
                assert.is_nil(tensors, name .. " = " .. tostring((json.encode(value))))
                assert.matches("wrong.safetensors cannot be used: metadata " .. name .. ": ", message)
                assert.equal("format", code)
                count = count + 1
            end
        end
        assert.is_true(count > 70)
    end)

    it("refuses a field that is missing, by name", function()
        for _, name in ipairs {"task", "version", "input", "normalisation", "seed", "epoch"} do
            local path = work .. "/less.safetensors"
            assert(lx.save(path, {w = lx.ones(2)}, described {[name] = "none"}))
            local tensors, message = lx.load(path)
            assert.is_nil(tensors)
            assert.matches("metadata " .. name .. ": it is missing", message)
        end
    end)

    it("names the version that the rock has", function()
        assert.matches('version = "' .. require("luxel.version"):gsub("%p", "%%%0") .. '%-1"',
            shell.read("rockspec/luxel-" .. require("luxel.version") .. "-1.rockspec"))
        assert.matches("\n## " .. require("luxel.version"):gsub("%p", "%%%0") .. "\n", shell.read("CHANGELOG.md"))
        assert.equal("Luxel " .. require("luxel.version"), lx._VERSION)
    end)
end)

describe("calibration", function()
    it("takes finite numbers only", function()
        local calibration = lx.calibration
        assert.error_matches(function() calibration.fit({1, 0 / 0}, {0, 1}) end, "calibration.fit: logits: .*nan")
        assert.error_matches(function() calibration.fit({1, math.huge}, {0, 1}) end, "calibration.fit: logits: ")
        assert.error_matches(function() calibration.fit({1, 2}, {0, 2}) end, "calibration.fit: labels: ")
        assert.error_matches(function() calibration.fit({1, 2}, {0}) end, "calibration.fit: labels: ")
        assert.error_matches(function() calibration.probability(nil, 0 / 0) end, "calibration.probability: logit: ")
        assert.error_matches(function() calibration.probability({scale = 1e308, shift = 0}, 1) end,
            "calibration.probability: fitted: ")
        assert.near(0.5, calibration.probability(false, 0), 1e-12)
        assert.is_table(calibration.fit({-1, 1, 0.5, 0 + 0.1}, {0, 1, 0 / 0, 0}))
        assert.is_nil(calibration.fit({1e-13, 2e-13, 3e-13, 5e-13}, {0, 0, 1, 1}))
        assert.near(0.5, calibration.probability(calibration.fit({3, 3, 3, 3}, {0, 0, 1, 1}), 3), 1e-9)
    end)
end)

-- ---- training -----------------------------------------------------------------------------------------------------

local sets

local function network()
    lx.manual_seed(3)
    return nn.Sequential(nn.Conv2d(1, 4, 3, {padding = 1}), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(4), nn.Flatten(),
        nn.Linear(64, 1))
end

-- A run on phantoms, three steps an epoch; `overrides` replace its options. What it said is in `said`.
local function fit(out, overrides)
    sets = sets or {lx.data.phantom {n = 24, size = 16, seed = 1}, lx.data.phantom {n = 10, size = 16, seed = 2}}
    local net, said = network(), {}
    local optimizer = lx.optim.AdamW(net:parameters(), {lr = 0.01})
    local options = {
        net = net, optimizer = optimizer, train = sets[1], val = sets[2], epochs = 1, batch = 8, out = out,
        scheduler = lx.optim.lr_scheduler.CosineWarmup(optimizer, {warmup = 2, total = 9}),
        loss = nn.functional.binary_cross_entropy_with_logits, compile = false,
        progress = {
            step = function() end, epoch = function() end, message = function(_, text) said[#said + 1] = text end,
        },
        overwrite = true,
    }
    for key, value in pairs(overrides or {}) do options[key] = value end
    local result, message, code = lx.train.fit(options)
    return result, message, code, table.concat(said, "\n")
end

describe("a run", function()
    local out

    before_each(function() out = os.tmpname(); os.remove(out) end)
    after_each(function() os.execute("rm -rf '" .. out .. "' '" .. out .. ".moved'") end)

    it("leaves the same files, byte for byte, when it is done again", function()
        assert(fit(out))
        assert(fit(out .. ".moved"))
        for _, name in ipairs {"best.safetensors", "last.safetensors"} do
            assert.equal(shell.read(out .. "/" .. name), shell.read(out .. ".moved/" .. name))
        end
    end)

    it("says what its model is", function()
        assert(fit(out, {metadata = {classes = {"A", "B"}, positive = "B"}, seed = 7, enhance = {{"clahe"}}}))
        local _, metadata = assert(lx.load(out .. "/best.safetensors"))
        assert.equal(2, metadata.schema)
        assert.equal("binary", metadata.task)
        assert.equal(7, metadata.seed)
        assert.same({mean = 0.5, std = 0.25, enhance = {{step = "clahe"}}}, metadata.normalisation)
        assert.equal(10, metadata.chosen.images)
        assert.is_number(metadata.threshold)
        assert.error_matches(function() fit(out, {metadata = {classes = {"A", "A"}}}) end,
            "fit: options: option 'metadata': classes: expected two different names")
        assert.error_matches(function() fit(out, {metadata = {size = "small"}}) end,
            "fit: options: option 'metadata': size: ")
    end)

    it("names no model that is not in the folder: one that takes no file", function()
        assert(lfs.mkdir(out))
        assert(lfs.mkdir(out .. "/best.safetensors"))
        local result, _, _, said = fit(out, {epochs = 2})
        assert.is_nil(result.best)
        assert.matches("best.safetensors", result.save_problem)
        assert.matches("%[WARN%] could not save: .*best.safetensors", said)
        assert(lx.load(out .. "/last.safetensors"))
    end)

    it("names no model that is not in the folder: one that vanished", function()
        local result, _, _, said = fit(out, {epochs = 2, progress = {
            step = function() end, message = function() end,
            epoch = function(_, row) if row.epoch == 1 then os.rename(out, out .. ".moved") end end,
        }})
        assert.is_nil(result.best)
        assert.is_string(result.save_problem)
        assert.equal("", said)
        assert(lx.load(out .. ".moved/best.safetensors")) -- what was saved before is whole
    end)

    it("names no model that is not in the folder: that of another run", function()
        assert(fit(out))
        local before = shell.read(out .. "/best.safetensors")
        local result = fit(out, {seed = 9, progress = {
            step = function() end, message = function() end,
            epoch = function() write("copy", before); os.rename(work .. "/copy", out .. "/best.safetensors") end,
        }})
        assert.is_nil(result.best)
        assert.matches("no longer holds the model of epoch 1", result.save_problem)
    end)

    it("ends before the work where the folder takes no files", function()
        assert(lfs.mkdir(out))
        assert(lfs.mkdir(out .. "/log.csv"))
        local steps = 0
        local result, message, code = fit(out, {progress = {
            step = function() steps = steps + 1 end, message = function() end, epoch = function() end,
        }})
        assert.is_nil(result)
        assert.matches("log.csv", message)
        assert.equal("io", code)
        assert.equal(0, steps)
    end)

    it("whose model was deleted meanwhile saves the next one when it goes on", function()
        assert(fit(out))
        os.remove(out .. "/best.safetensors")
        local result = assert(fit(out, {epochs = 2, resume = true}))
        assert.equal(2, result.best.epoch)
        local _, metadata = assert(lx.load(out .. "/best.safetensors"))
        assert.equal(2, metadata.epoch)
    end)

    it("stops where a loss or a result is not finite", function()
        local function diverges(pattern, overrides)
            local result, message, code = fit(out, overrides)
            assert.is_nil(result)
            assert.equal("diverged", code)
            assert.matches(pattern, message)
            assert.is_nil(lfs.attributes(out .. "/best.safetensors", "mode"))
        end
        local bce = nn.functional.binary_cross_entropy_with_logits
        for word, factor in pairs {NaN = 0 / 0, infinity = math.huge, ["%-infinity"] = -math.huge} do
            diverges("the loss became " .. word .. " at epoch 1, step 1", {loss = function(logits, labels)
                return bce(logits, labels) * factor
            end})
        end
        -- weights that the last step of the epoch spoils
        local count = 0
        diverges("after epoch 1 the network gives NaN for .* and no finite numbers for 9 others", {
            loss = function(logits, labels)
                count = count + 1
                local loss = bce(logits, labels)
                return count == 3 and loss + (logits * 0):sqrt():sum() or loss
            end,
        })
    end)
end)

describe("predictions that are not finite", function()
    it("are an error that names the image", function()
        local net = network()
        lx.no_grad(function() net:parameters()[1]:fill_(0 / 0) end)
        local set = lx.data.phantom {n = 3, size = 16, seed = 1}
        local ok, problem = pcall(lx.train.predict, net, set)
        assert.is_false(ok)
        local expected = "predict: the network gives NaN for %s and no finite numbers for 2 others"
        assert.matches(expected:format(set.paths[1]), problem, 1, true)
        assert.equal("result", (core.error_code(problem)))
    end)
end)

describe("a damaged last.safetensors #slow", function()
    local out, whole, tensors, metadata

    setup(function()
        out = work .. "/resume"
        assert(fit(out))
        whole = shell.read(out .. "/last.safetensors")
        tensors, metadata = assert(lx.load(out .. "/last.safetensors"))
        for name, tensor in pairs(tensors) do tensors[name] = tensor:clone() end
    end)

    local function damage(stream)
        local kind, at = stream:integer(1, 6), stream:integer(1, #whole)
        if kind == 1 then return whole:sub(1, at - 1) end
        if kind == 2 then return whole:sub(1, at - 1) .. string.char(whole:byte(at) ~ 1 << stream:integer(0, 7))
            .. whole:sub(at + 1) end
        local header, start = ("<s8"):unpack(whole)
        local place = stream:integer(1, #header)
        if kind == 3 then -- a byte of the header becomes another one
            header = header:sub(1, place - 1) .. string.char(stream:integer(32, 126)) .. header:sub(place + 1)
        elseif kind == 4 then -- a digit becomes another one
            local from = header:find("%d", place) or header:find("%d")
            header = header:sub(1, from - 1) .. stream:integer(0, 9) .. header:sub(from + 1)
        elseif kind == 5 then -- a value becomes null, or something else
            local words = {"null", "[]", "{}", "-1", "1e308", '""', "true", "0"}
            local from, to = header:find("[%d%.]+", place)
            if not from then from, to = header:find("[%d%.]+") end
            header = header:sub(1, from - 1) .. words[stream:integer(1, #words)] .. header:sub(to + 1)
        else -- bytes vanish, and others take their place
            local stop = math.min(#whole, at + stream:integer(0, 4096))
            return whole:sub(1, at - 1) .. ("\xff"):rep(stop - at + 1) .. whole:sub(stop + 1)
        end
        return assemble(header, whole:sub(start))
    end

    it("is refused with a message, or has the same contents: 2,000 damages", function()
        local stream, path, refused = random.stream(11), out .. "/last.safetensors", 0
        for i = 1, 2000 do
            local text = damage(stream)
            write("resume/last.safetensors", text)
            local found, message, code = lx.load(path)
            if found then
                for name, tensor in pairs(tensors) do assert.is_true(lx.equal(tensor, found[name])) end
                assert.same(metadata, message)
            else
                refused = refused + 1
                assert.equal("format", code)
                assert.is_string(message)
            end
            if i % 10 == 0 or found then -- and so a run takes it up
                local ok, result, problem, kind = pcall(fit, out, {resume = true})
                assert.is_true(ok, result)
                if found then
                    assert.equal(1, result.epoch)
                else
                    assert.is_nil(result)
                    assert.equal("format", kind)
                    assert.equal(message, problem)
                end
            end
        end
        assert.is_true(refused > 1900)
        write("resume/last.safetensors", whole)
    end)

    -- Every place of a table, as a list of {table, key}.
    local function places(value, list)
        local names = {}
        for key in pairs(value) do names[#names + 1] = key end
        table.sort(names, function(a, b) return tostring(a) < tostring(b) end)
        for _, key in ipairs(names) do
            list[#list + 1] = {value, key}
            if type(value[key]) == "table" then places(value[key], list) end
        end
        return list
    end

    it("whose checksum is right, but of whose contents anything is wrong, is refused with a message", function()
        local list, refused, taken = places(metadata, {}), 0, {}
        local function try(where)
            assert(lx.save(out .. "/last.safetensors", tensors, metadata))
            local ok, result, message, code = pcall(fit, out, {resume = true})
            assert.is_true(ok, where .. ": " .. tostring(result))
            if result then
                taken[where] = true
            else
                refused = refused + 1
                assert.equal("format", code, where)
                assert.matches("last.safetensors", message, 1, true)
            end
        end
        for _, place in ipairs(list) do
            local holder, key = place[1], place[2]
            local kept = holder[key]
            local is_list = #holder > 0
            for _, value in ipairs {"text", -1, 0.5, {}, true} do
                holder[key] = value
                try(tostring(key))
            end
            if not is_list then
                holder[key] = nil
                try(tostring(key))
            end
            holder[key] = kept
        end
        -- numbers may be others than they were; what they are part of may not
        for _, name in ipairs {
            "state", "kind", "steps", "groups", "random", "batch", "training", "scheduler", "base", "betas", "schema",
            "task", "normalisation",
        } do
            assert.is_nil(taken[name], name)
        end
        assert.is_true(refused > 200)
        write("resume/last.safetensors", whole)
    end)

    it("whose tensors are missing, of another shape, or of another type is refused with a message", function()
        for name, tensor in pairs(tensors) do
            for _, other in ipairs {false, lx.zeros(7), tensor:int()} do
                local changed = {}
                for key, value in pairs(tensors) do changed[key] = value end
                changed[name] = other or nil
                assert(lx.save(out .. "/last.safetensors", changed, metadata))
                local ok, result, message, code = pcall(fit, out, {resume = true})
                assert.is_true(ok, result)
                if not result then
                    assert.equal("format", code)
                    assert.matches("last.safetensors cannot be gone on with: ", message, 1, true)
                else
                    -- Adam's averages start from zero where there are none; other numbers become the network's own
                    assert.is_true(not name:find("optimizer", 1, true) or not other, name)
                end
            end
        end
        write("resume/last.safetensors", whole)
    end)
end)

describe("half precision", function()
    local path
    before_each(function() path = os.tmpname() end)
    after_each(function() os.remove(path) end)

    local function through(values)
        assert(lx.checkpoint.save(path, {w = lx.tensor(values):view(#values, 1)}, {}, {half = true}))
        return lx.checkpoint.load(path).w:view(-1):totable()
    end

    -- Of 10 bits after the first one, from 2^-14 on; below that steps are of 2^-24.
    local function nearest(x)
        local size = math.abs(x)
        if size == 0 then return x end
        local exponent = math.max(math.floor(math.log(size, 2)), -14)
        if size >= 2.0 ^ (exponent + 1) then exponent = exponent + 1 end
        local step = 2.0 ^ (exponent - 10)
        local low = math.floor(size / step)
        local rest = size / step - low
        if rest > 0.5 or rest == 0.5 and low % 2 == 1 then low = low + 1 end
        return (x < 0 and -1 or 1) * low * step
    end

    it("is the nearest number, of two equally near ones the even one", function()
        lx.manual_seed(4)
        local values = {0, 1, -1, 1 + 2 ^ -11, 1 + 3 * 2 ^ -11, 2047.5, 2048.5, 65504, -65504, 2 ^ -14, 2 ^ -24,
            2 ^ -25, 3 * 2 ^ -26, 2 ^ -26, 2 ^ -14 - 2 ^ -25, 6e-8, 1e-20}
        for _, scale in ipairs {1e-7, 1e-5, 1e-2, 1, 1e3} do
            for _, value in ipairs((lx.randn(200) * scale):totable()) do values[#values + 1] = value end
        end
        for i, got in ipairs(through(values)) do
            local value = lx.tensor({values[i]}):item() -- as float32
            assert.equal(nearest(value), got, ("%.9g"):format(value))
        end
    end)

    it("keeps what is no number and what is infinite, and refuses what would become so", function()
        local got = through({0 / 0, math.huge, -math.huge})
        assert.is_true(got[1] ~= got[1])
        assert.same({math.huge, -math.huge}, {got[2], got[3]})
        assert.error_matches(function() through({1, 70000, 0 / 0}) end,
            "'w' has 70000, and half precision ends at 65504")
    end)

    it("leaves statistics as they are, and takes about half the bytes", function()
        local tensors = {weight = lx.randn(100, 100), running_var = lx.rand(100) * 1e-9, count = lx.tensor({3},
            {dtype = "int32"})}
        assert(lx.checkpoint.save(path, tensors, {kind = "x"}, {half = true}))
        local back, metadata = lx.checkpoint.load(path)
        assert.is_true(lx.equal(tensors.running_var, back.running_var))
        assert.is_true(lx.equal(tensors.count, back.count))
        assert.equal("x", metadata.kind)
        assert.is_true(lx.allclose(tensors.weight, back.weight, 5e-4, 1e-7))
        assert.is_true(require("lfs").attributes(path, "size") < 22000)
    end)
end)
