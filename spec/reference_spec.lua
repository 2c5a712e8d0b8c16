-- The reference: every public name has an entry with words, the pages in docs/api are what the generator writes, and
-- lx.help finds entries.

local args = require "luxel.args"
local core = require "luxel.core"
local lx = require "luxel"
local namespace = require "luxel.namespace"
local reference = require "luxel.reference"

-- Tables of names, by what stands before them.
local SPACES <const> = {
    ["lx."] = lx, ["lx.anomaly."] = lx.anomaly, ["lx.autograd."] = lx.autograd, ["lx.calibration."] = lx.calibration,
    ["lx.checkpoint."] = lx.checkpoint, ["lx.conformal."] = lx.conformal,
    ["lx.data."] = lx.data, ["lx.metrics."] = lx.metrics, ["lx.nn."] = lx.nn,
    ["lx.nn.functional."] = lx.nn.functional, ["lx.nn.init."] = lx.nn.init, ["lx.opencl."] = lx.opencl,
    ["lx.optim."] = lx.optim, ["lx.optim.lr_scheduler."] = lx.optim.lr_scheduler, ["lx.plot."] = lx.plot,
    ["lx.profile."] = lx.profile, ["lx.report."] = lx.report, ["lx.text."] = lx.text, ["lx.train."] = lx.train,
    ["lx.vision."] = lx.vision,
}

local function is_callable(value)
    local meta = type(value) == "table" and getmetatable(value)
    return type(value) == "function" or meta and rawget(meta, "__call") ~= nil
end

-- All public names: functions and classes in tables, methods of tensors, modules, datasets, frames, optimisers, and
-- schedules.
local function public_names()
    local names = {}
    for prefix, space in pairs(SPACES) do
        for name, value in next, space do
            if is_callable(value) then names[#names + 1] = prefix .. name end
        end
    end
    local dataset = lx.data.phantom {n = 2, size = 16}
    local frame = lx.data.frame({{path = "a.png", label = "sick"}, {path = "b.png", label = "healthy"}}, {
        label = "label",
    })
    local classes = {
        Tensor = core.metatable.methods, Module = lx.nn.Module, Dataset = getmetatable(dataset).__index,
        Frame = getmetatable(frame), Optimizer = getmetatable(lx.optim.SGD).__index,
        Scheduler = getmetatable(lx.optim.lr_scheduler.StepLR).__index,
    }
    for title, class in pairs(classes) do
        for name, value in next, class do
            local is_public = args.declared[value] and name ~= "init" and not name:find("^__")
                and rawget(lx.nn, name) ~= value
            if is_public then names[#names + 1] = title .. ":" .. name end
        end
    end
    table.sort(names)
    return names
end

local function contents(path)
    local file <close> = assert(io.open(path))
    return file:read("a")
end

describe("the reference", function()
    it("has every public name", function()
        local book, missing = reference.book(), {}
        local names = public_names()
        for _, name in ipairs(names) do
            if not book.by_name[name] then missing[#missing + 1] = name end
        end
        assert.same({}, missing)
        assert.is_true(#names > 450)
    end)

    it("says something of each", function()
        local silent = {}
        for _, page in ipairs(reference.book().pages) do
            for _, entry in ipairs(page.entries) do
                if not entry.text:find("%a") then silent[#silent + 1] = entry.name end
            end
        end
        assert.same({}, silent)
    end)

    it("has what its generator writes, and nothing else (make reference)", function()
        local generator = assert(loadfile("tools/reference.lua"))
        local path = package.path
        package.path = "./?.lua;" .. path
        local files = generator().files()
        package.path = path
        for name, text in pairs(files) do
            assert.is_true(contents(name) == text, name .. " is not what make reference writes")
        end
        local listing <close> = assert(io.popen("ls docs/api"))
        for name in listing:lines() do assert.is_truthy(files["docs/api/" .. name], name) end
    end)

    it("describes arguments: types, defaults, words of annotations and of tables of options", function()
        local text = tostring(lx.help("lx.data.batches"))
        assert.matches("\n        batch: an integer from 1 to 65536, default 32\n", text, 1, true)
        assert.matches("\n        balanced: true or false, default false; each class as often as the others\n", text, 1,
            true)
        text = tostring(lx.help("AdamW"))
        assert.matches("\n        betas: two numbers {beta1, beta2} from 0 to below 1, default {0.9, 0.999}\n", text, 1,
            true)
        assert.matches("\n    Optimizer$", text)
        text = tostring(lx.help("leaky_relu"))
        assert.matches("\n    slope: a finite number, default 0.01\n", text, 1, true)
    end)
end)

describe("what editors read", function()
    local declarations = contents("tools/luals/luxel.lua")

    it("is Lua, and marked as declarations", function()
        assert.is_truthy(load(declarations))
        assert.matches("^%-%-%-@meta", declarations)
    end)

    it("has functions, classes and methods with their types", function()
        for _, words in ipairs {
            "\n---@return Tensor\nfunction lx.zeros(...) end\n", "\n---@class Conv2d: Module\n",
            "\n---@return Conv2d\nfunction lx.nn.Conv2d(in_channels, out_channels, kernel, options) end\n",
            "\nfunction Tensor:sum(dim, keepdim) end\n", "\nfunction Dataset:subset(",
            "\n---@operator add(Tensor|number): Tensor\n", "\nlx.nn.functional = {}\n",
        } do
            assert.is_truthy(declarations:find(words, 1, true), words)
        end
    end)
end)

describe("lx.help", function()
    it("finds an entry by name, with or without what stands before it", function()
        for what, name in pairs {
            Conv2d = "lx.nn.Conv2d", ["nn.Conv2d"] = "lx.nn.Conv2d", ["lx.nn.Conv2d"] = "lx.nn.Conv2d",
            conv2d = "lx.nn.functional.conv2d", ["tensor.sum"] = "Tensor:sum", ["Tensor:sum"] = "Tensor:sum",
            StepLR = "lx.optim.lr_scheduler.StepLR", ["dataset.subset"] = "Dataset:subset", zeros = "lx.zeros",
        } do
            assert.equal(name, lx.help(what).name)
        end
    end)

    it("finds an entry by the function or class itself", function()
        assert.equal("lx.nn.Conv2d", lx.help(lx.nn.Conv2d).name)
        assert.equal("lx.zeros", lx.help(lx.zeros).name)
        assert.equal("Tensor:sum", lx.help(lx.zeros(1).sum).name)
        assert.equal("lx.optim.Adam", lx.help(lx.optim.Adam).name)
        assert.equal("lx.nn.Flatten", lx.help(lx.nn.Flatten()).name)
    end)

    it("prints the entry", function()
        local text = tostring(lx.help("Linear"))
        assert.matches("^lx%.nn%.Linear%(.-%)\n\n    %S", text)
        assert.matches("\nArguments\n", text, 1, true)
        assert.matches("\nCalled with\n    Tensor [", text, 1, true)
        assert.matches("\nReturns\n    Tensor [...,out_features]", text, 1, true)
        for line in tostring(lx.help("train.fit")):gmatch("[^\n]+") do assert.is_true(#line <= 120, line) end
    end)

    it("says what a namespace or a class has", function()
        for what, title in pairs {
            predictor = "lx.predictor", ["lx.vision"] = "lx.vision", ["nn.functional"] = "lx.nn.functional",
            Frame = "Frame", Predictor = "Predictor", [lx.data] = "lx.data", ["lx.train"] = "lx.train",
        } do
            assert.equal(title, lx.help(what).name)
        end
        assert.matches("BatchNorm2d:activated", tostring(lx.help("nn")), 1, true)
        local text = tostring(lx.help("Predictor"))
        assert.matches("^Predictor\n", text)
        assert.matches("\nFields\n", text, 1, true)
        assert.matches("\n    size: integer side of what the network sees, in pixels\n", text, 1, true)
        assert.matches("\nHas\n    all, answer, [%l_, ]*predict, probabilities$", text)
        assert.equal("lx.data.frame", lx.help("frame").name)
        assert.equal("lx.profile", lx.help("profile").name)
        assert.matches("^lx%.profile%(", tostring(lx.help(lx.profile)))
    end)

    it("refuses what there is not, with the name that was probably meant", function()
        local ok, message = pcall(lx.help, "Cnov2d")
        assert.is_false(ok)
        assert.matches("help: what: nothing public has the name 'Cnov2d' %(did you mean 'Conv2d'%?%)", message)
        ok, message = pcall(lx.help, 3)
        assert.is_false(ok)
        assert.matches("help: what: expected a name, or a public function, class or namespace, got 3", message, 1, true)
    end)
end)

describe("lx.help without the files that it reads", function()
    it("says so", function()
        local script = [[
            local lx = require "luxel"
            for _, name in ipairs(getmetatable(lx).names()) do local _ = lx[name] end
            package.path = ""
            print(select(2, pcall(lx.help, "zeros")))
        ]]
        local interpreter = os.getenv("LUA") or "lua5.4"
        local pipe <close> = assert(io.popen(("%s -e '%s' 2>&1"):format(interpreter, script)))
        assert.matches("help: package.path does not lead to the Lua files of luxel", pipe:read("a"), 1, true)
    end)
end)

describe("print of a table of names", function()
    it("lists parts that are not loaded yet", function()
        local space = namespace("lx.part", {}, {later = "luxel.near"})
        assert.matches("later", tostring(space), 1, true)
        assert.is_nil(rawget(space, "later"))
    end)
end)
