--- Files of torch.save: read right in every form that torch writes, and refused, with nothing run and little reserved,
--- where they are anything else. The golden files are of spec/golden/make_torch.py.

local core = require "luxel.core"
local json = require "luxel.json"
local lfs = require "lfs"
local lx = require "luxel"
local p = dofile "spec/support/pickles.lua"

local GOLDEN <const> = "spec/golden/torch/"

local work

local function read(path)
    local file = assert(io.open(path, "rb"))
    local text = file:read("a")
    file:close()
    return text
end

local function write(name, text)
    local path = work .. "/" .. name
    local file = assert(io.open(path, "wb"))
    file:write(text)
    file:close()
    return path
end

local function described(name) return json.decode(read(GOLDEN .. name .. ".json")) end

local DTYPES <const> = {
    ["torch.uint8"] = "uint8", ["torch.bool"] = "uint8", ["torch.int64"] = "int32", ["torch.uint16"] = "int32",
}

-- A tensor has the shape and the numbers of its description; those of float64 rounded to float32.
local function compare(name, expected, tensor)
    local values = expected.values or expected.values_re_im
    local shape = table.move(expected.shape, 1, #expected.shape, 1, {})
    if expected.values_re_im then shape[#shape + 1] = 2 end
    assert.same(shape, table.move(tensor.shape, 1, #tensor.shape, 1, {}), name)
    assert.equal(DTYPES[expected.dtype] or "float32", tensor.dtype, name)
    local got = tensor:contiguous():flatten():totable()
    assert.equal(#values, #got, name)
    for i, value in ipairs(values) do
        value = tonumber(value) or value == "inf" and math.huge or 0 / 0
        if tensor.dtype == "float32" then value = ("f"):unpack(("f"):pack(value)) end
        local same = got[i] == value or value ~= value and got[i] ~= got[i]
        assert.is_true(same, ("%s: number %d is %s, not %s"):format(name, i, got[i], value))
    end
end

local function compare_all(expected, tensors)
    local count = 0
    for name, one in pairs(expected) do
        assert(tensors[name], name)
        compare(name, one, tensors[name])
        count = count + 1
    end
    for _ in pairs(tensors) do count = count - 1 end
    assert.equal(0, count)
end

-- The message with which a file is refused.
local function refusal(text, options)
    local tensors, message, code = lx.io.torch.load(write("refused.pth", text), options)
    assert.is_nil(tensors)
    assert.equal("format", code, message)
    return message
end

local function refused(pattern, text, options)
    local message = refusal(text, options)
    assert.is_truthy(message:find(pattern), message)
end

describe("lx.io.torch.load", function()
    setup(function()
        work = os.tmpname()
        os.remove(work)
        assert(lfs.mkdir(work))
    end)

    teardown(function()
        for name in lfs.dir(work) do os.remove(work .. "/" .. name) end
        lfs.rmdir(work)
    end)

    for _, name in ipairs {"legacy", "zip"} do
        it("reads every kind of tensor as torch does: " .. name, function()
            local tensors, info = assert(lx.io.torch.load(GOLDEN .. name .. ".pth", {complex = "pairs"}))
            compare_all(described(name).tensors, tensors)
            assert.equal(name, info.format)
            assert.equal("plain", info.names[1])
            assert.same({}, info.left_out)
        end)
    end

    it("reads archives that were packed otherwise", function()
        local expected = described "zip_variants"
        for _, tensor in pairs(expected) do tensor.dtype = "torch.float32" end
        for _, name in ipairs {"zip_crc_off", "zip_deflated", "zip_minimal", "zip_big_endian"} do
            compare_all(expected, assert(lx.io.torch.load(GOLDEN .. name .. ".pth")))
        end
    end)

    it("reads archives with sizes of 64 bits, and comments", function()
        local value = p.dict {{"w", p.tensor {count = 4, size = {2, 2}, stride = {1, 2}}}}
        local text = p.zipped(value, {{"0", ("f"):rep(4):pack(1, 2, 3, 4)}}, {}, true)
        assert.same({{1, 3}, {2, 4}}, assert(lx.io.torch.load(write("wide.pth", text))).w:totable())
        text = text:sub(1, -3) .. ("<s2"):pack("PK\5\6 in a comment")
        assert.same({{1, 3}, {2, 4}}, assert(lx.io.torch.load(write("comment.pth", text))).w:totable())
        refused("not valid", (text:gsub("\1\0\24\0", "\1\0\23\0")))
    end)

    it("finds the tensors among other contents, which it tells", function()
        local tensors, info = assert(lx.io.torch.load(GOLDEN .. "zip_protocol4.pth"))
        compare_all(described("legacy").tensors, tensors)
        assert.equal("state_dict", info.key)
        assert.equal(3, info.contents.epoch)
        assert.equal(1e-3, info.contents.lr)
        assert.equal(lx.io.torch.none, info.contents.best)
        assert.equal(1 << 40, info.contents.big)
        assert.equal("größe", info.contents.name)
        assert.equal(tensors.plain, info.contents.state_dict.plain)
    end)

    for _, name in ipairs {"module", "module_legacy"} do
        it("reads whole modules as the state dict they have: " .. name, function()
            local tensors, info = assert(lx.io.torch.load(GOLDEN .. name .. ".pth"))
            compare_all(described("module").tensors, tensors)
            assert.equal("op_threshs", info.names[1])
            assert.same({"passing"}, info.left_out)
            assert.equal("torchxrayvision.models.DenseNet", info.contents.class)
            local fields = info.contents.fields
            assert.same({"A", "B", "", "Größe"}, fields.pathologies)
            assert.equal("torch.nn.modules.batchnorm.BatchNorm2d", fields.norm_layer)
            assert.equal("torchvision.models.densenet._DenseLayer",
                fields._modules.features.fields._modules.denselayer1.class)
        end)
    end

    it("gives tensors that share a storage the same memory, apart from the file's", function()
        local path = write("shared.pth", read(GOLDEN .. "legacy.pth"))
        local tensors = assert(lx.io.torch.load(path))
        tensors.plain:fill_(7)
        assert.equal(7, tensors.tied_view:totable()[1])
        assert.equal(7, tensors.transposed:totable()[6][4])
        assert.equal(0.375, assert(lx.io.torch.load(path)).tied_view:totable()[1])
    end)

    it("refuses complex numbers unless it is told how they are wanted", function()
        refused('conjugated: a tensor %[2%] of complex64: .*complex = "pairs"', read(GOLDEN .. "zip.pth"))
    end)

    describe("runs nothing", function()
        -- What a pickle of this name calls stands there with its place.
        local function call_of(name)
            local value = p.dict {{"w", p.call(name, {"touch " .. work .. "/made"})}}
            local place = #"\x80\2}" + #p.value "w"
            return place, p.zipped(value), p.legacy(value)
        end

        for _, name in ipairs {"os.system", "posix.system", "builtins.eval", "builtins.getattr", "subprocess.Popen",
            "torch.load", "torch.nn.modules.module.register", "torchvision.io.image.read_file",
            "torch.nn.modules.container.Sequential"} do
            it("of " .. name, function()
                local place, zipped, legacy = call_of(name)
                local message = refusal(zipped)
                assert.is_truthy(message:find(name, 1, true), message)
                assert.is_truthy(message:find("nothing was run", 1, true), message)
                assert.is_truthy(message:find("of data.pkl", 1, true), message)
                if not name:find "Sequential" then -- whose name is known, but which is not called
                    assert.is_truthy(message:find(("byte %d of"):format(place), 1, true), message)
                end
                assert.is_truthy(refusal(legacy):find(name, 1, true))
                assert.is_nil(lfs.attributes(work .. "/made"))
            end)
        end

        it("whichever operation makes it", function()
            local command = p.value("touch " .. work .. "/made")
            for name, operations in pairs {
                ["os.system"] = "\x8c\2os\x8c\6system\x93" .. command .. "\x85R",
                INST = "(" .. command .. "ios\nsystem\n", OBJ = "(N" .. command .. "o",
                EXT1 = "\x82\1", NEWOBJ_EX = "N)}\x92", PERSID = "Pos.system\n",
            } do
                local message = refusal(p.zipped(p.raw(operations)))
                assert.is_truthy(message:find(name, 1, true), message)
            end
            refused("it calls a string", p.zipped(p.raw(p.value "f" .. p.value {} .. "R")))
            refused("made with arguments",
                p.zipped(p.raw(p.class("torch.nn.modules.linear.Linear").raw .. p.value {1} .. "\x81")))
            refused("a string is given a state", p.zipped(p.raw(p.value "f" .. "}b")))
            assert.is_nil(lfs.attributes(work .. "/made"))
        end)
    end)

    describe("refuses", function()
        local function one(given, bytes)
            return p.zipped(p.dict {{"w", p.tensor(given)}}, {{"0", bytes or ("f"):rep(4):pack(1, 2, 3, 4)}})
        end

        it("tensors that do not lie in their storage", function()
            local right = {count = 4, size = {2, 2}, stride = {2, 1}}
            local tensors = assert(lx.io.torch.load(write("right.pth", one(right))))
            assert.same({{1, 2}, {3, 4}}, tensors.w:totable())
            local big = 1 << 62
            for _, wrong in ipairs {
                {size = {2, 3}}, {stride = {3, 1}}, {offset = 1}, {offset = big}, {size = {big, big}},
                {size = {big, 2}, stride = {0, 1}}, {size = {2, 2}, stride = {big, big}}, {size = {0, 2}, offset = 5},
            } do
                wrong.count = 4
                refused("do not lie in its storage", one(setmetatable(wrong, {__index = right})))
            end
            for _, wrong in ipairs {
                {size = {-2, -2}}, {stride = {-2, -1}}, {offset = -1}, {size = {2}}, {size = {2.5, 2}}, {size = "22"},
            } do
                wrong.count = 4
                if wrong.size and wrong.size[1] == 2.5 then wrong.size[1] = p.raw("G" .. (">d"):pack(2.5)) end
                refused("not valid", one(setmetatable(wrong, {__index = right})))
            end
            local nine = {1, 1, 1, 1, 1, 1, 1, 1, 1}
            refused("9 dimensions", one {count = 4, size = nine, stride = nine})
        end)

        it("tensors that show few numbers more often than the file has bytes", function()
            refused("more than the file has bytes", one {count = 4, size = {1 << 30, 1 << 20}, stride = {0, 0}})
            assert(lx.io.torch.load(write("few.pth", one {count = 4, size = {10, 10}, stride = {0, 0}})))
        end)

        it("storages that are longer than the file, or not as long as they are said to be", function()
            refused("more than the file", one {count = 1 << 40, size = {2}, stride = {1}})
            refused("more than the file", one {count = math.maxinteger, size = {2}, stride = {1}})
            refused("has 16 bytes, its tensors expect 20", one {count = 5, size = {2}, stride = {1}})
            local value = p.dict {{"w", p.tensor {count = 4, size = {4}, stride = {1}, legacy = true}}}
            local four = ("f"):rep(4):pack(1, 2, 3, 4)
            assert(lx.io.torch.load(write("right.pth", p.legacy(value, {{"0", 4, four}}))))
            refused("outside of it", p.legacy(value, {{"0", 4, four:sub(1, 15)}}))
            refused("has 5 numbers, its tensors expect 4", p.legacy(value, {{"0", 5, four}}))
            refused("bytes follow", p.legacy(value, {{"0", 4, four .. "x"}}))
            refused("storage '0' is missing", p.legacy(value, {}))
            refused("does not fit its tensors", p.legacy(value, {{"1", 4, four}}))
            refused("storage '0' is missing", p.zipped(value, {}))
        end)

        it("parts of older storages that lie outside of them, and reads those that do not", function()
            local function part(offset, count)
                local id = {"storage", p.class "torch.FloatStorage", "0", "cpu", 4, {"1", offset, count}}
                local arguments = {p.raw(p.value(id) .. "Q"), 1, {1}, {1}, false, {}}
                local tensor = p.call("torch._utils._rebuild_tensor_v2", arguments)
                return p.legacy(p.dict {{"w", tensor}}, {{"0", 4, ("f"):rep(4):pack(1, 2, 3, 4)}})
            end
            assert.equal(4, assert(lx.io.torch.load(write("part.pth", part(2, 2)))).w:totable()[1])
            refused("lies outside", part(2, 3))
            refused("lies outside", part(5, 0))
        end)

        it("one storage with two types", function()
            refused("two types", p.zipped(p.dict {
                {"a", p.tensor {count = 4, size = {4}, stride = {1}}},
                {"b", p.tensor {count = 4, size = {4}, stride = {1}, class = "torch.IntStorage"}},
            }, {{"0", ("\0"):rep(16)}}))
        end)

        it("archives that are damaged or unpack to far more than they are", function()
            local value = p.dict {{"w", p.tensor {count = 1 << 18, size = {1 << 18}, stride = {1}}}}
            local packed = {"a/data/0", "", method = 8, stored = "\3\0", size = 1 << 20}
            refused("shorter than stated", p.zipped(value, {}, {packed}))
            refused("more than the file", p.zipped(p.dict {
                {"w", p.tensor {count = 1 << 28, size = {1 << 28}, stride = {1}}},
            }, {}, {{"a/data/0", "", method = 8, stored = "\3\0", size = 1 << 30}}))
            refused("times its size", p.zip {{"a/data.pkl", "", method = 8, stored = "\3\0", size = 1 << 31}})
            refused("encrypted", p.zip {{"a/data.pkl", "x", flags = 1}})
            refused("method 12", p.zip {{"a/data.pkl", "x", method = 12}})
            refused("two different sizes", p.zip {{"a/data.pkl", "xy", size = 3}})
            refused("reaches into", p.zip {{"a/data.pkl", "xy", size = 300, packed = 300}})
            refused("reaches into", p.zip {{"a/data.pkl", "xy"}, {"a/b", "", header = 0}})
            refused("not where the directory says", p.zip {{"a/data.pkl", "xy", header = 3}})
            refused("two members", p.zip {{"a/data.pkl", "x"}, {"a/data.pkl", "x"}})
            refused("two pickles", p.zip {{"a/data.pkl", "x"}, {"b/data.pkl", "x"}})
            refused("without data.pkl", p.zip {{"a/b/data.pkl", "x"}})
            refused("TorchScript", p.zip {{"a/data.pkl", "x"}, {"a/code/x.py", "x"}})
            refused("checksum", (read(GOLDEN .. "zip.pth"):gsub("plain", "PLAIN")))
            refused("byte order is 'middle'", p.zipped(p.dict {}, {}, {{"a/byteorder", "middle"}}))
        end)

        it("what is nested, stacked or shared without end", function()
            local tensor = p.tensor({count = 1, size = {1}, stride = {1}}).raw
            local lists = p.value "x" .. "]" .. ("]"):rep(1000) .. ("a"):rep(1000) .. "s"
            refused("nested more than", p.zipped(p.raw("}" .. p.value "w" .. tensor .. "s" .. lists), {{"0", "abcd"}}))
            refused("stacks more than", p.zipped(p.raw(("N"):rep(1000001))))
            -- modules that hold the next one twice: names without end
            local module = p.class("torch.nn.modules.linear.Linear").raw .. ")\x81"
            local inner = module .. "}" .. p.value "_parameters" .. "}" .. p.value "w" .. tensor .. "ssb"
            for level = 1, 40 do
                local place = "r" .. ("<I4"):pack(level)
                inner = inner .. place .. "0" .. module .. "}" .. p.value "_modules" .. "}" .. p.value "a" .. "j"
                    .. place:sub(2) .. "s" .. p.value "b" .. "j" .. place:sub(2) .. "ssb"
            end
            refused("times its size", p.zipped(p.raw(inner), {{"0", "abcd"}}))
            -- a list in itself
            local tensors, info = lx.io.torch.load(write("loop.pth", p.zipped(p.raw "}q\1X\1\0\0\0ah\1s")))
            assert.same({}, tensors and next(tensors) or {}, info)
        end)

        it("files of other kinds, saying which", function()
            refused("does not begin", "")
            refused("does not begin", "safetensors")
            refused("not one of torch.save", p.pickle {1, 2})
            refused("of before torch 0.1.10", ("x"):rep(257) .. "ustar" .. ("x"):rep(300))
            refused("holds no state dict and no module, but a tuple", p.zipped {1, 2})
            refused("holds no state dict and no module, but a tensor",
                p.zipped(p.tensor {count = 4, size = {4}, stride = {1}}, {{"0", ("\0"):rep(16)}}))
            local _, message, code = lx.io.torch.load(work .. "/absent.pth")
            assert.equal("io", code, message)
        end)

        it("to choose among several state dicts", function()
            local tensor = p.tensor {count = 4, size = {4}, stride = {1}}
            local text = p.zipped(p.dict {
                {"net", p.dict {{"w", tensor}}}, {"average", p.dict {{"w", tensor}, {"n", 3}}},
            }, {{"0", ("f"):rep(4):pack(1, 2, 3, 4)}})
            refused("several state dicts: net, average; .*key", text)
            refused("no state dict or module under the key 'x'", text, {key = "x"})
            local _, info = assert(lx.io.torch.load(write("two.pth", text), {key = "average"}))
            assert.same({"w"}, info.names)
            assert.same({"n"}, info.left_out)
        end)

        it("every file that is cut short", function()
            for _, name in ipairs {"legacy.pth", "zip_deflated.pth", "module.pth"} do
                local text = read(GOLDEN .. name)
                for length = 0, #text - 1, 3 do refusal(text:sub(1, length)) end
            end
        end)

        it("options that there are not, by name", function()
            assert.has_error(function() lx.io.torch.load("x", {keys = "y"}) end)
            assert.has_error(function() lx.io.torch.load("x", {complex = "real"}) end)
        end)
    end)

    it("takes no memory of the file's claims", function()
        -- the expanded tensor and the views of it take what the numbers do
        local before = lx.memory("cpu").live
        local tensors = assert(lx.io.torch.load(GOLDEN .. "legacy.pth"))
        assert.is_true(lx.memory("cpu").live - before < 10000)
        assert.is_truthy(tensors)
    end)
end)

describe("deflated data", function()
    local function unpacked(bytes, size)
        local path = write("deflated", bytes)
        local file <close>, length = core.map_file(path)
        local out, problem = core.unpack(file, 0, length, size)
        return out and core.file_text(out, 0, size), problem
    end

    setup(function()
        work = os.tmpname()
        os.remove(work)
        assert(lfs.mkdir(work))
    end)

    teardown(function()
        os.remove(work .. "/deflated")
        os.remove(work .. "/image.png")
        lfs.rmdir(work)
    end)

    it("of the three kinds of blocks are unpacked", function()
        assert.equal("abc", unpacked("\1\3\0\xfc\xffabc", 3))
        assert.equal("", unpacked("\3\0", 0))
        assert.equal("aaaaaaaaaa", unpacked("\x4b\x4c\x84\1\0", 10)) -- a literal, and a repetition of it
        local bytes = {}
        for i = 1, 64 * 48 do bytes[i] = (i - 1) % 251 end
        -- fixed codes, as Luxel writes them, of a picture
        assert(lx.vision.save(work .. "/image.png", lx.tensor(bytes, {dtype = "uint8"}):reshape(1, 48, 64)))
        local png = read(work .. "/image.png")
        local size, place = (">I4"):unpack(png, png:find("IDAT", 1, true) - 4), png:find("IDAT", 1, true) + 4
        local rows = unpacked(png:sub(place + 2, place + size - 5), 48 * 65)
        local a, b = 1, 0 -- the checksum behind them (RFC 1950)
        for _, byte in ipairs {rows:byte(1, -1)} do
            a = (a + byte) % 65521
            b = (a + b) % 65521
        end
        assert.equal((">I4"):unpack(png, place + size - 4), b << 16 | a)
    end)

    it("are refused where they are damaged, too long or too short", function()
        assert.is_truthy(select(2, unpacked("\1\3\0\xfc\xffab", 3)):find "cut off")
        assert.is_truthy(select(2, unpacked("\1\3\0\xfc\xfeabc", 3)):find "damaged")
        assert.is_truthy(select(2, unpacked("\1\3\0\xfc\xffabc", 2)):find "longer")
        assert.is_truthy(select(2, unpacked("\1\3\0\xfc\xffabc", 4)):find "shorter")
        assert.is_truthy(select(2, unpacked("\7", 1)):find "not valid")
        assert.is_truthy(select(2, unpacked("\x03\x02\x00", 300)))  -- a repetition before the first byte
        assert.is_truthy(select(2, unpacked("", 0)):find "cut off")
    end)
end)
