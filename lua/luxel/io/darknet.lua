--- Files of darknet: configurations (.cfg), which are networks layer by layer, and their weights (.weights).
--
-- What a section or an option says is known from the tables below, or refused with its line: an option that was passed
-- over without a word would make another network. Weights store neither names nor lengths, so the file has to be just
-- as long as the network wants.

local args = require "luxel.args"
local core = require "luxel.core"
local lx = require "luxel"
local namespace = require "luxel.namespace"
local near = require "luxel.near"
local networks = require "luxel.models.darknet"

local darknet = {}

local MOST_BYTES <const>, MOST_SECTIONS <const> = 1 << 20, 1024
local MOST_PARAMETERS <const> = 1 << 27
local MOST_NUMBERS <const> = 512 -- of a list

---@class luxel.DarknetSection
---@field name string
---@field line integer 0 where it comes from no file
---@field options table<string, number|string|number[]>

---@alias luxel.DarknetCfg luxel.DarknetSection[]

-- ---- options --------------------------------------------------------------------------------------------------

local function whole(low, high)
    return function(text)
        local number = text:find("^[+-]?%d+$") and math.tointeger(tonumber(text))
        if number and number >= low and number <= high then return number end
        return nil, ("an integer from %d to %d"):format(low, high)
    end
end

local function number(text)
    local value = text:find("^[+-]?[%d.]+[eE]?[+-]?%d*$") and tonumber(text)
    if value and value - value == 0 then return math.tointeger(value) or value end -- 1.0 is written as 1
    return nil, "a number"
end

local function list_of(one)
    return function(text)
        local values = {}
        for item in (text:gsub(",$", "") .. ","):gmatch("([^,]*),") do
            local value, words = one(item)
            if value == nil or #values == MOST_NUMBERS then
                return nil, ("up to %d numbers with commas between them, each %s"):format(MOST_NUMBERS,
                    words or "a number")
            end
            values[#values + 1] = value
        end
        return values
    end
end

local function word_of(words)
    return function(text)
        for _, word in ipairs(words) do
            if word == text then return text end
        end
        return nil, "one of " .. table.concat(words, ", ")
    end
end

local FLAG <const>, COUNT <const>, SIZE <const> = whole(0, 1), whole(0, 1 << 31), whole(1, 1 << 16)
local SIDE <const> = whole(1, networks.MOST_SIDE)
local PLACE <const>, STRIDE <const> = whole(-MOST_SECTIONS, MOST_SECTIONS), whole(1, 1024)
local ACTIVATION <const> = word_of(networks.activations)
local NUMBERS <const> = list_of(number)

-- What each section may say. Those of `net` but the sizes, and scales and thresholds of detections, are for training.
local SECTIONS <const> = {
    net = {
        batch = SIZE, subdivisions = SIZE, width = SIDE, height = SIDE, channels = SIZE, momentum = number,
        decay = number, angle = number, saturation = number, exposure = number, hue = number, learning_rate = number,
        burn_in = COUNT, max_batches = COUNT, steps = NUMBERS, scales = NUMBERS, power = number, gamma = number,
        step = COUNT, scale = number, max_crop = COUNT, min_crop = COUNT, aspect = number, flip = FLAG,
        letter_box = FLAG,
        policy = word_of {"constant", "exp", "poly", "random", "sig", "step", "steps"},
    },
    convolutional = {
        batch_normalize = FLAG, filters = SIZE, size = STRIDE, stride = STRIDE, pad = FLAG, padding = whole(0, 1024),
        groups = SIZE, activation = ACTIVATION,
    },
    maxpool = {size = STRIDE, stride = STRIDE, padding = whole(0, 2047)},
    avgpool = {}, dropout = {probability = function(text)
        local value = number(text)
        if value and value >= 0 and value < 1 then return value end
        return nil, "a number from 0 to below 1"
    end},
    route = {layers = list_of(PLACE)},
    shortcut = {from = PLACE, activation = ACTIVATION},
    reorg = {stride = STRIDE, reverse = FLAG}, reorg3d = {stride = STRIDE, reverse = FLAG},
    upsample = {stride = STRIDE},
    region = {
        anchors = NUMBERS, num = SIZE, classes = SIZE, coords = SIZE, softmax = FLAG, bias_match = FLAG, rescore = FLAG,
        object_scale = number, noobject_scale = number, class_scale = number, coord_scale = number, absolute = FLAG,
        thresh = number, jitter = number, random = number, max = SIZE,
    },
    yolo = {
        anchors = NUMBERS, num = SIZE, classes = SIZE, mask = list_of(whole(0, MOST_SECTIONS)), jitter = number,
        ignore_thresh = number, truth_thresh = number, random = number, max = SIZE,
    },
}
local SAME <const> = {network = "net", conv = "convolutional", max = "maxpool", avg = "avgpool"}

local function names_of(members)
    local names = {}
    for name in next, members do names[#names + 1] = name end
    table.sort(names)
    return names
end

-- Ends a reading; the path is put before the message.
local function refuse(form, ...) error({darknet = form:format(...)}, 0) end

-- An option of a section, checked.
local function option_of(section, line, key, text)
    local known = SECTIONS[section.name]
    local read = known[key]
    if not read then
        refuse("line %d: [%s] has no option '%s' here%s", line, section.name, key:sub(1, 40),
            near.suggestion(key, names_of(known)))
    elseif section.options[key] ~= nil then
        refuse("line %d: [%s]: '%s' comes twice", line, section.name, key)
    end
    local value, words = read(text)
    if value == nil then
        refuse("line %d: [%s]: %s: expected %s, got %s", line, section.name, key, words, args.describe(text))
    end
    return value
end

local function parse(text)
    local cfg, line = {}, 0
    for row in (text .. "\n"):gmatch("([^\n]*)\n") do
        line = line + 1
        row = row:gsub("[ \t\r]", "")
        local name = row:match("^%[([^%[%]]*)%]$")
        if name then
            name = SAME[name] or name
            if not SECTIONS[name] then
                refuse("line %d: there is no section [%s] here%s; the sections are %s", line, name:sub(1, 40),
                    near.suggestion(name, names_of(SECTIONS)), table.concat(names_of(SECTIONS), ", "))
            elseif #cfg == MOST_SECTIONS then
                refuse("line %d: there are more than %d sections", line, MOST_SECTIONS)
            end
            cfg[#cfg + 1] = {name = name, line = line, options = {}}
        elseif row ~= "" and not row:find("^[#;]") then
            local key, value = row:match("^([%w_]+)=(.+)$")
            if not key then refuse("line %d: expected [section] or option=value, got %s", line, args.describe(row)) end
            local section = cfg[#cfg] or refuse("line %d: an option before the first section", line)
            section.options[key] = option_of(section, line, key, value)
        end
    end
    if #cfg == 0 then refuse("there is no section") end
    return cfg
end

-- Calls, and turns what `refuse` raised into nil, message, code.
local function caught(path, f, ...)
    local results = table.pack(pcall(f, ...))
    if results[1] then return table.unpack(results, 2, results.n) end
    local problem = results[2]
    if type(problem) == "table" and problem.darknet then
        return nil, path and ("%s: %s"):format(path, problem.darknet) or problem.darknet, "format"
    end
    local kind, text = core.error_code(tostring(problem))
    if kind and kind ~= "argument" then return nil, path and ("%s: %s"):format(path, text) or text, kind end
    error(problem, 0)
end

--- Reads a configuration. Sections and options that are not known, come twice or have another kind of value are refused
--- with their line.
---@param path string at most 1 MiB
---@return luxel.DarknetCfg? cfg a list of {name =, line =, options =}, the first [net]; options are numbers, lists of
---  them, or words
---@return string? message
---@return string? code "io", "format"
function darknet.read_cfg(path)
    local file <close>, size, code = core.map_file(path)
    if not file then return nil, size, code end
    if size > MOST_BYTES then
        return nil, ("%s: %d bytes are too many for a configuration"):format(path, size), "format"
    end
    return caught(path, parse, size > 0 and core.file_text(file, 0, size) or "")
end

local function shown(value)
    if type(value) ~= "table" then
        if math.type(value) ~= "float" then return tostring(value) end
        local short = ("%.14g"):format(value)
        return tonumber(short) == value and short or ("%.17g"):format(value)
    end
    local parts = {}
    for i, one in ipairs(value) do parts[i] = shown(one) end
    return table.concat(parts, ",")
end

-- Raises for what is no configuration: an argument that a program made.
local function check_cfg(where, cfg)
    for i = 1, #cfg do
        local section = cfg[i]
        if type(section) ~= "table" or type(section.name) ~= "string" or type(section.options) ~= "table" then
            args.fail("%s: cfg: expected a list of {name =, options =}, got %s at place %d", where,
                args.describe(section), i)
        elseif not SECTIONS[section.name] then
            args.fail("%s: cfg: there is no section '%s'%s", where, section.name,
                near.suggestion(section.name, names_of(SECTIONS)))
        end
        for key, value in next, section.options do
            local read = SECTIONS[section.name][key]
            local ok = read and (type(value) == "number" or type(value) == "string" or type(value) == "table")
                and read(shown(value)) ~= nil
            if not ok then
                args.fail("%s: cfg: section %d, %s: the option '%s' is not known or not valid", where, i, section.name,
                    tostring(key))
            end
        end
    end
end

--- Writes a configuration: the sections in order, and the options of each in the order of their names.
---@param path string
---@param cfg luxel.DarknetCfg
---@return boolean? ok, string? message, string? code
function darknet.write_cfg(path, cfg)
    check_cfg("write_cfg", cfg)
    local lines = {}
    for _, section in ipairs(cfg) do
        lines[#lines + 1] = "[" .. section.name .. "]"
        for _, key in ipairs(names_of(section.options)) do
            lines[#lines + 1] = key .. "=" .. shown(section.options[key])
        end
        lines[#lines + 1] = ""
    end
    return core.write_file(path, {table.concat(lines, "\n")})
end

-- ---- networks -------------------------------------------------------------------------------------------------

local function sections_of(cfg)
    local list = {}
    for i, section in ipairs(cfg) do
        list[i] = {name = section.name, line = section.line or 0, options = section.options}
    end
    return list
end

--- A network of a configuration, with random weights. Its layers have darknet's numbers, `net.layers`; called with
--- images [N,channels,H,W] of 0 to 1, it gives the map that each [region] or [yolo] reads, [N,anchors (5 +
--- classes),H',W'], and `net.detections` says what these are.
---@param cfg luxel.DarknetCfg
---@param options? {root: "inside"|"outside", momentum: number, parameters: integer} root: where batch normalisation has
---  its epsilon, see `nn.DarknetBatchNorm2d`, default "inside", which published weights want; momentum: of its running
---  statistics, default 0.1; parameters: how many a network may have at most, default 134217728
---@return Module? net
---@return string? message
---@return string? code "format", with the section and its line
function darknet.network(cfg, options)
    check_cfg("network", cfg)
    options = args.with_defaults(options, {root = "inside", momentum = 0.1, parameters = MOST_PARAMETERS})
    return caught(nil, function() return networks.Darknet(networks.plan(sections_of(cfg), options)) end)
end

-- ---- weights --------------------------------------------------------------------------------------------------

local LONG <const>, SHORT <const> = "<i4i4i4i8", "<i4i4i4I4"

-- The lengths that a header of this version may have: forks disagree from 1000 on.
local function header_lengths(major, minor)
    if 10 * major + minor < 2 then return {16} end
    return (major >= 1000 or minor >= 1000) and {20, 16} or {20}
end

-- The tensors of the first `count` layers, in the order of the file.
local function tensors_of(net, count)
    local list = {}
    for i, layer in net.layers:each() do
        if i > count then break end
        local conv = layer.class_name == "Sequential" and layer:get(1)
        if conv and conv.class_name == "Conv2d" then
            local norm = conv.bias == nil and layer:get(2)
            if norm then
                table.move({norm.bias, norm.weight, norm.running_mean, norm.running_var}, 1, 4, #list + 1, list)
            else
                list[#list + 1] = conv.bias
            end
            list[#list + 1] = conv.weight
        end
    end
    return list
end

local function read_header(file, size, body)
    if size < 16 then refuse("it is too short for a header: %d bytes", size) end
    local major, minor, revision = ("<i4i4i4"):unpack(core.file_text(file, 0, 12))
    local lengths = header_lengths(major, minor)
    for _, length in ipairs(lengths) do
        if size == length + body then
            local seen = (length == 20 and "<i8" or "<I4"):unpack(core.file_text(file, 12, length - 12))
            return {major = major, minor = minor, revision = revision, seen = seen, bytes = length}
        end
    end
    refuse("the network wants %d bytes of weights after the header of version %d.%d, the file has %d", body, major,
        minor, size - lengths[1])
end

local function check_net(where, net)
    if getmetatable(net) ~= networks.Darknet.instance_metatable then
        args.fail("%s: net: expected a network of lx.io.darknet.network, got %s", where, args.describe(net))
    end
end

-- How many layers have weights in the file.
local function layers_of(where, net, options)
    local count = options and options.layers or #net.layers
    if count > #net.layers then
        args.fail("%s: options: option 'layers': expected at most the %d of the network, got %d", where, #net.layers,
            count)
    end
    return count
end

--- Fills a network with the weights of a file, which has to be as long as they are; nothing is changed if it is not.
--- Headers of 16 and 20 bytes are known by the version, and where forks of darknet disagree (major or minor from 1000
--- on) by the length of the file.
---@param net Module of `network`
---@param path string
---@param options {layers: integer}? layers: the file has those of the first so many layers alone, as `.conv.N` files
---@return {major: integer, minor: integer, revision: integer, seen: integer, bytes: integer}? header kept as
---  `net.header`; seen: the images that the weights were trained on; bytes: the header's length
---@return string? message
---@return string? code "io", "format"
function darknet.load_weights(net, path, options)
    check_net("load_weights", net)
    local tensors, body = tensors_of(net, layers_of("load_weights", net, options)), 0
    for _, tensor in ipairs(tensors) do body = body + 4 * tensor:numel() end
    local file <close>, size, code = core.map_file(path)
    if not file then return nil, size, code end
    local header, message, kind = caught(path, read_header, file, size, body)
    if not header then return nil, message, kind end
    local place = header.bytes
    lx.no_grad(function()
        for _, tensor in ipairs(tensors) do
            local values <close> = core.file_tensor(file, place, tensor.shape, "F32")
            tensor:copy_(tensor.device == "cpu" and values or values:to(tensor.device))
            place = place + 4 * tensor:numel()
        end
    end)
    net.header = header
    return header
end

--- Writes the weights of a network. A network that `load_weights` filled gives the same bytes.
---@param net Module of `network`
---@param path string
---@param options {layers: integer, major: integer, minor: integer, revision: integer, seen: integer}? layers: of the
--- first so many alone; version and seen: default those that were loaded, or 0.2.0, and 0
---@return boolean? ok, string? message, string? code
function darknet.save_weights(net, path, options)
    check_net("save_weights", net)
    local count = layers_of("save_weights", net, options)
    local old = net.header
    local header = args.with_defaults(options, old or {major = 0, minor = 2, revision = 0, seen = 0})
    local same = old and header.major == old.major and header.minor == old.minor
    local length = same and old.bytes or header_lengths(header.major, header.minor)[1]
    if length == 16 and header.seen >= 1 << 32 then
        args.fail("save_weights: options: option 'seen': expected less than 2^32 for version %d.%d, got %d",
            header.major, header.minor, header.seen)
    end
    local chunks = {(length == 20 and LONG or SHORT):pack(header.major, header.minor, header.revision, header.seen)}
    for _, tensor in ipairs(tensors_of(net, count)) do
        chunks[#chunks + 1] = core.to_string(tensor:detach():to("cpu"):contiguous())
    end
    return core.write_file(path, chunks)
end

local INT <const> = "integer(-2147483648..2147483647)"

return namespace("lx.io.darknet", args.publish("", darknet, {
    read_cfg = "path: path", write_cfg = "path: path, cfg: table",
    network = "cfg: table, options: {root: \"inside\"|\"outside\"?, momentum: number(0..1)?, parameters: size?}?",
    load_weights = "net: module, path: path, options: {layers: integer(0..)?}?",
    save_weights = ("net: module, path: path, options: {layers: integer(0..)?, major: %s?, minor: %s?, revision: %s?, "
        .. "seen: integer(0..)?}?"):format(INT, INT, INT),
}))
