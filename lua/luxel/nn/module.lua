--- The base of all layers and networks.
--
-- A module is a Lua table that notices what is assigned to it. Parameters (`nn.Parameter`), buffers
-- (`register_buffer`) and other modules become part of it in the order of assignment, which is the order of
-- `parameters()`; anything else is a plain field. A network is a class with `init` and `forward`:
--
--     local Net = nn.class("Net")
--     function Net:init(classes)
--         self.conv = nn.Conv2d(1, 8, 3)
--         self.head = nn.Linear(8, classes)
--     end
--     function Net:forward(x)
--         return self.head(F.relu(self.conv(x)):mean({3, 4}))
--     end
--     local net = Net(2)          -- calls init
--     local logits = net(images)  -- calls forward
--
-- Parameters and modules that would be lost without a word are refused: those in a plain table (lists of modules are
-- `nn.ModuleList`) or in a field of a class, and leaves that require a gradient but are no parameters. A module that is
-- used but not to be trained or saved along stays in a local variable, or behind a function.

local args = require "luxel.args"
local check = require "luxel.nn.check"
local core = require "luxel.core"
local declare = require "luxel.nn.declare"
local events = require "luxel.compile.events"
local freezing = require "luxel.nn.freezing"
local lx = require "luxel"
local near = require "luxel.near"
local types = require "luxel.types"

-- A list of named things that remembers the order of their first assignment.
local Registry = {}
Registry.__index = Registry

local function new_registry()
    return setmetatable({names = {}, values = {}}, Registry)
end

function Registry:set(name, value)
    if not rawequal(self.values[name], value) then events.changes_structure() end
    if value ~= nil and self.values[name] == nil then
        self.names[#self.names + 1] = name
    elseif value == nil then
        for i = #self.names, 1, -1 do
            if self.names[i] == name then table.remove(self.names, i) end
        end
    end
    self.values[name] = value
end

function Registry:each()
    local i = 0
    return function()
        i = i + 1
        local name = self.names[i]
        return name, self.values[name]
    end
end

-- ---- classes --------------------------------------------------------------------------------------------------

---@class Module
---@field training boolean true after `train()`, the initial state; false after `eval()`
---@operator call(...): ...
local Module = {
    class_name = "Module", optional_state = {},
    saved_names = {}, -- names that children have in files, where a method has theirs: {body = "features"}
}

local REGISTRIES = {"_parameters", "_buffers", "_modules"}
local WORDS = {_parameters = "parameter", _buffers = "buffer", _modules = "module"}

local function is_module(value)
    return type(value) == "table" and rawget(value, "_modules") ~= nil
end

local function is_view(value)
    local meta = getmetatable(value)
    return type(meta) == "table" and rawget(meta, "is_view") == true
end

-- A module itself, where a view of one cannot take its place.
args.type("submodule", "a module", "table", is_module)

local function is_parameter(value)
    local slot = core.is_usable(value) and core.getslot(value)
    return slot and slot.parameter == true
end

-- The first part of a module inside a plain table, and where it is: "a Linear at [2]"; nil if nothing.
local function find_inside(value, place, seen)
    if is_module(value) then return ("a %s at %s"):format(value.class_name, place) end
    if is_view(value) then return "a view made by nn.fuse at " .. place end
    if is_parameter(value) then return ("a parameter at %s"):format(place) end
    if type(value) ~= "table" or getmetatable(value) ~= nil or seen[value] then return nil end
    seen[value] = true
    for key, inner in next, value do
        if type(inner) == "table" or type(inner) == "userdata" then
            local at = type(key) == "string" and place .. "." .. key or ("%s[%s]"):format(place, tostring(key))
            local found = find_inside(inner, at, seen)
            if found then return found end
        end
    end
end

-- Parameters and modules in a plain table would never be trained, moved or saved.
local function refuse_hidden(self, key, value)
    local found = find_inside(value, tostring(key), {})
    if not found then return end
    args.fail("%s: %s is a plain table that holds %s, which would not be trained, moved or saved; for modules use "
        .. "nn.ModuleList(%s), and give each parameter a name of its own", self.class_name, tostring(key), found,
        "{...}")
end

-- A name becomes a part of the keys of `state_dict`, and must not hide a method.
local function check_name(self, key, home)
    local word = WORDS[home]
    if type(key) ~= "string" or key == "" or key:find(".", 1, true) then
        args.fail("%s: the name of a %s should be a string without dots, got %s; for numbered modules there is "
            .. "nn.ModuleList", self.class_name, word, args.describe(key))
    elseif type(getmetatable(self).class[key]) == "function" then
        args.fail("%s: %s is a method, and no name for a %s", self.class_name, key, word)
    end
end

local function home_of_tensor(self, key, tensor)
    local slot = core.getslot(tensor)
    if slot and slot.parameter then return "_parameters" end
    if rawget(self, "_buffers").values[key] then return "_buffers" end
    if rawget(self, "_parameters").values[key] then
        args.fail("%s: %s is a parameter; assign nn.Parameter(tensor), or copy into it with copy_", self.class_name,
            tostring(key))
    elseif slot and slot.requires_grad and not slot.node then
        args.fail("%s: %s requires a gradient, but is no parameter: it would not be trained or saved; assign "
            .. "nn.Parameter(tensor), or tensor:detach()", self.class_name, tostring(key))
    end
    return "_fields"
end

-- Where a value assigned to `key` goes.
local function home_of(self, key, value)
    local home = "_fields"
    if is_module(value) then
        home = "_modules"
    elseif core.is_usable(value) then
        home = home_of_tensor(self, key, value)
    elseif is_view(value) then
        args.fail("%s: %s is a view made by nn.fuse; assign the network itself", self.class_name, tostring(key))
    elseif type(value) == "table" then
        refuse_hidden(self, key, value)
    end
    if home ~= "_fields" then
        check_name(self, key, home)
    elseif value ~= nil then
        if type(Module[key]) == "function" and type(value) ~= "function" then
            args.fail("%s: %s is a method of every module, which %s would hide; give the field another name",
                self.class_name, tostring(key), args.describe(value))
        end
        for _, registry in ipairs(REGISTRIES) do
            if rawget(self, registry).values[key] ~= nil then
                args.fail("%s: %s is a %s and cannot become %s; nil removes it", self.class_name, tostring(key),
                    WORDS[registry], args.describe(value))
            end
        end
    end
    return home
end

-- How many arguments a method takes whose first one is called neither self nor _: by function; false for all others.
local without_self = setmetatable({}, {__mode = "k"})

local function find_without_self(method)
    local info = debug.getinfo(method, "u")
    local first = debug.getlocal(method, 1) -- nil without parameters, and without debug information
    return not info.isvararg and first ~= nil and first ~= "self" and first ~= "_" and info.nparams
end

-- Raises where a method that was declared with a dot instead of a colon would take the module for its first argument,
-- and drop the last one: it is to be called with more than it takes.
local function check_colon(self, name, method, count)
    local takes = without_self[method]
    if takes == nil then
        takes = type(method) == "function" and find_without_self(method)
        without_self[method] = takes
    end
    if takes and count >= takes then
        args.fail("%s: %s takes %d argument%s, of which the first, %s, would be the module itself; declare it with a "
            .. "colon: function %s:%s(...)", self.class_name, name, takes, takes == 1 and "" or "s",
            debug.getlocal(method, 1), self.class_name, name)
    end
end

-- A class's instances. Nothing is stored under its own name, so that every assignment comes by here: a plain field
-- that later becomes a module must not stay unregistered.
local function instance_metatable(class)
    local meta = {
        __name = class.class_name, class = class,
        no_tensor = "a module; a method that is declared with a dot gets the module as its first argument: declare it "
            .. "with a colon, function " .. class.class_name .. ":forward(x)", -- what errors say of it
    }
    function meta.__index(self, key)
        local value = self._fields[key]
        if value == nil then value = self._parameters.values[key] end
        if value == nil then value = self._modules.values[key] end
        if value == nil then value = self._buffers.values[key] end
        if value == nil and class.item and math.type(key) == "integer" then return class.item(self, key) end
        if value == nil then value = class[key] end
        events.reads_field(self, key, value)
        return value
    end
    function meta.__len(self) return class.item and #rawget(self, "_modules").names or 0 end
    function meta.__newindex(self, key, value)
        if math.type(key) == "integer" and class.set_item then return class.set_item(self, key, value) end
        local home = home_of(self, key, value)
        events.sets_field(self, key)
        for i = 1, 3 do
            local name = REGISTRIES[i]
            local registry = rawget(self, name)
            if name == home then
                registry:set(key, value)
            elseif registry.values[key] ~= nil then
                registry:set(key, nil)
            end
        end
        if home ~= "_fields" then value = nil end
        rawget(self, "_fields")[key] = value
    end
    function meta.__call(self, ...)
        local hooks = rawget(self, "_hooks")
        local forward = self.forward
        if without_self[forward] ~= false then check_colon(self, "forward", forward, select("#", ...)) end
        if not hooks then return forward(self, ...) end
        events.cannot_replay("runs a forward hook of " .. self.class_name .. "; remove it first")
        local results = table.pack(forward(self, ...))
        for _, entry in ipairs(hooks) do
            if core.is_tensor(entry.hook(self, {...}, results)) then
                args.fail("%s: a forward hook returned a tensor, which changes nothing; what it puts into its third "
                    .. "argument, results[1] = tensor, is what the module gives", self.class_name)
            end
        end
        return table.unpack(results, 1, results.n)
    end
    function meta.__tostring(self)
        return self:describe_tree()
    end
    -- The names that completion offers besides the methods of the class.
    function meta.names(self)
        local names = {}
        for name in pairs(rawget(self, "_fields")) do names[#names + 1] = name end
        for i = 1, 3 do
            for _, name in ipairs(rawget(self, REGISTRIES[i]).names) do names[#names + 1] = name end
        end
        return names
    end
    return meta
end

local function construct(class, ...)
    local self = {_fields = {training = true}, _ready = {}}
    for i = 1, 3 do self[REGISTRIES[i]] = new_registry() end
    setmetatable(self, class.instance_metatable)
    check_colon(self, "init", self.init, select("#", ...))
    self:init(...)
    return self
end

-- `nn.Linear(in_features: integer(1..), ...)`, or the name alone of a user's class.
local function class_text(class)
    local init = rawget(class, "init")
    local declaration = args.declared[init]
    local signature = declaration and declaration.signature:gsub("^[^,]+,? ?", "")
    return ("%s (class)%s"):format(class.class_name,
        signature and (": nn.%s(%s)"):format(class.class_name, signature) or "")
end

local function make_class(class, parent)
    class.instance_metatable = instance_metatable(class)
    return setmetatable(class, {
        __newindex = function(_, key, value)
            local found = find_inside(value, tostring(key), {})
            if found then
                args.fail("%s.%s: %s belongs to no module, and would not be trained, moved or saved; assign it in "
                    .. "init, to self.%s", class.class_name, tostring(key), found, tostring(key))
            end
            rawset(class, key, value)
        end,
        __name = ("class %s (a call, %s(), makes a module)"):format(class.class_name, class.class_name),
        __index = parent, __call = construct, __tostring = class_text,
    })
end

--- A new class of modules. Calling it makes an instance and passes the arguments to `init`. A subclass reaches the
--- method it replaces through its parent: `Parent.init(self, ...)`.
---@param name string shown when printed
---@param parent table? a class made by this function; default `nn.Module`
---@return table class
function Module.class(name, parent)
    if parent ~= nil and not rawget(parent, "instance_metatable") then
        args.fail("class: parent: expected a class made by nn.class, got %s", args.describe(parent))
    end
    return make_class({class_name = name}, parent or Module)
end

Module.class = args.public("class", "name: string, parent: table?", Module.class)

--- Marks a tensor as a parameter: it requires a gradient, and a module that it is assigned to lists it.
---@param tensor Tensor float32, not the result of a recorded operation
---@return Tensor tensor the same
function Module.Parameter(tensor)
    local slot = core.getslot(tensor)
    if tensor.dtype ~= "float32" or slot and slot.node then
        args.fail("Parameter: tensor: expected a float32 tensor that no recorded operation made, got %s%s",
            args.describe(tensor), slot and slot.node and ", which has a history; detach() it" or "")
    end
    tensor:requires_grad_(true)
    core.getslot(tensor).parameter = true
    return tensor
end

Module.Parameter = args.public("Parameter", "tensor: tensor", Module.Parameter)

--- Called by the constructor with its arguments; a class replaces it.
function Module:init() end -- luacheck: ignore 212

--- What the module computes; a class replaces it, and users call the module itself.
function Module:forward()
    local names = {}
    for name, value in next, getmetatable(self).class do
        if type(value) == "function" and name ~= "forward" then names[#names + 1] = name end
    end
    local found = near.find("forward", names)
    args.fail("%s: the class does not define forward%s", self.class_name,
        found and (" (but '%s'; did you mean that?)"):format(found) or "")
end

--- Adds a tensor that is saved and moved with the module but not trained.
---@param name string
---@param tensor Tensor
function Module:register_buffer(name, tensor)
    check_name(self, name, "_buffers")
    if self[name] ~= nil and not rawget(self, "_buffers").values[name] then
        args.fail("%s:register_buffer: name: '%s' is taken already", self.class_name, name)
    end
    rawget(self, "_buffers"):set(name, tensor)
end

--- Adds a module under a name that need not be an identifier.
---@param name string
---@param module Module
function Module:add_module(name, module)
    self[name] = nil
    self[name] = module
end

-- Gives a module its hooks without one and with another: in a new list, because hooks may do so while they are called.
local function change_hooks(self, without, with)
    local hooks = {}
    for _, entry in ipairs(rawget(self, "_hooks") or {}) do
        if entry ~= without then hooks[#hooks + 1] = entry end
    end
    hooks[#hooks + 1] = with
    rawset(self, "_hooks", #hooks > 0 and hooks or nil)
end

--- Calls `hook(module, arguments, results)` after every forward; returns a function that removes it. What a hook puts
--- into the list `results` is what the module gives instead. A function that `lx.compile` replays runs no forward, and
--- no hooks.
---@param hook fun(module: Module, arguments: table, results: table)
---@return fun() remove
function Module:register_forward_hook(hook)
    local entry = {hook = hook} -- a function may be there several times
    change_hooks(self, nil, entry)
    return function() change_hooks(self, entry) end
end

-- ---- walking --------------------------------------------------------------------------------------------------

-- Every module below and including `self` with its dotted name, parents first. A shared module comes once unless
-- `repeated`.
local function walk(self, visit, repeated, prefix, seen)
    if seen[self] and not repeated then return end
    seen[self] = true
    for key, value in next, rawget(self, "_fields") do -- what was put into a table after that was assigned
        if type(value) == "table" then refuse_hidden(self, key, value) end
    end
    visit(prefix, self)
    for key, child in rawget(self, "_modules"):each() do
        local name = self.saved_names[key] or key
        walk(child, visit, repeated, prefix == "" and name or prefix .. "." .. name, seen)
    end
end

-- Entries `{name, tensor}` of a registry over the whole tree. A shared tensor comes once unless `repeated`.
local function collect(self, registry, repeated)
    local entries, seen = {}, {}
    walk(self, function(prefix, module)
        for name, tensor in rawget(module, registry):each() do
            if repeated or not seen[tensor] then
                seen[tensor] = true
                entries[#entries + 1] = {prefix == "" and name or prefix .. "." .. name, tensor}
            end
        end
    end, repeated, "", {})
    return entries
end

local function iterate(entries)
    local i = 0
    return function()
        i = i + 1
        if entries[i] then return entries[i][1], entries[i][2] end
    end
end

local function seconds(entries)
    local list = {}
    for i, entry in ipairs(entries) do list[i] = entry[2] end
    return list
end

--- `for name, parameter in net:named_parameters() do`: own ones first, then the children's, by PyTorch's names.
---@return fun(): string, Tensor
function Module:named_parameters() return iterate(collect(self, "_parameters")) end

--- The parameters as a list, a shared one once.
---@return Tensor[]
function Module:parameters() return seconds(collect(self, "_parameters")) end

--- `for name, buffer in net:named_buffers() do`
---@return fun(): string, Tensor
function Module:named_buffers() return iterate(collect(self, "_buffers")) end

--- The buffers as a list.
---@return Tensor[]
function Module:buffers() return seconds(collect(self, "_buffers")) end

--- `for name, child in net:named_children() do`
---@return fun(): string, Module
function Module:named_children() return rawget(self, "_modules"):each() end

--- The modules directly inside.
---@return Module[]
function Module:children()
    local list = {}
    for _, child in self:named_children() do list[#list + 1] = child end
    return list
end

--- `for name, module in net:named_modules() do`: itself (with the name "") and all inside, parents first.
---@return fun(): string, Module
function Module:named_modules()
    local entries = {}
    walk(self, function(name, module) entries[#entries + 1] = {name, module} end, false, "", {})
    return iterate(entries)
end

--- Itself and all modules inside.
---@return Module[]
function Module:modules()
    local list = {}
    for _, module in self:named_modules() do list[#list + 1] = module end
    return list
end

--- Calls `f(module)` for every module, children before parents.
---@param f fun(module: Module)
---@return Module self
function Module:apply(f)
    for _, child in self:named_children() do child:apply(f) end
    f(self)
    return self
end

-- A value of a module's field as its copy has it: plain tables and tensors are copied, other things are the same.
local function copied(value, copies)
    if copies[value] ~= nil then return copies[value] end
    local copy = value
    if is_module(value) then
        copy = {_ready = value._ready}
        copies[value] = copy
        copy._fields = copied(rawget(value, "_fields"), copies)
        for _, registry in ipairs(REGISTRIES) do
            copy[registry] = new_registry()
            for name, inner in rawget(value, registry):each() do copy[registry]:set(name, copied(inner, copies)) end
        end
        setmetatable(copy, getmetatable(value))
    elseif core.is_usable(value) then
        local slot = core.getslot(value)
        copy = value:detach():clone()
        if slot and slot.parameter then Module.Parameter(copy):requires_grad_(slot.requires_grad) end
        copies[value] = copy
    elseif type(value) == "table" and getmetatable(value) == nil then
        copy = {}
        copies[value] = copy
        for key, inner in next, value do copy[key] = copied(inner, copies) end
    end
    return copy
end

--- A copy with parameters, buffers and fields of its own; what was shared inside is shared inside the copy. Gradients
--- and forward hooks are left behind, and functions and objects with a metatable (an optimiser, say) are the same ones.
---@return Module
function Module:clone()
    return copied(self, {})
end

-- ---- state ----------------------------------------------------------------------------------------------------

--- Switches training behaviour (dropout, batch statistics) on, or off with `train(false)`.
---@param mode boolean? default true
---@return Module self
function Module:train(mode)
    return self:apply(function(module) module.training = mode ~= false end)
end

--- The same as `train(false)`.
---@return Module self
function Module:eval() return self:train(false) end

--- Lets every parameter require a gradient or not.
---@param flag boolean? default true
---@return Module self
function Module:requires_grad_(flag)
    for _, parameter in self:named_parameters() do parameter:requires_grad_(flag ~= false) end
    return self
end

--- Freezes what the patterns fit: its parameters require no gradient, and batch normalisation in it normalises by its
--- running statistics and leaves them as they are, also after `train()`. Patterns are globs over the names of
--- `state_dict`: `*` any characters, dots among them, `?` one, `[0-3]` one of a set; a name with more behind a dot
--- stands for all of that; `!` before a pattern takes it out of those before it. `net:freeze "features"`,
--- `net:freeze {"conv_stem", "bn1", "blocks.[0-3]"}`, `net:freeze {"*", "!classifier"}`. One that fits nothing is an
--- error.
---@param patterns string|string[]
---@param options {what: "all"|"parameters"|"statistics"|nil}? what: default "all"; "statistics" lets the parameters of
---  batch normalisation learn by statistics that stay
---@return Module self
function Module:freeze(patterns, options)
    local what = options and options.what or "all"
    freezing.apply(freezing.choose(self, "Module:freeze: patterns", patterns, what), true)
    return self
end

--- Lets what the patterns fit learn again: the opposite of `freeze`.
---@param patterns string|string[]
---@param options {what: "all"|"parameters"|"statistics"|nil}? what: default "all"
---@return Module self
function Module:unfreeze(patterns, options)
    local what = options and options.what or "all"
    freezing.apply(freezing.choose(self, "Module:unfreeze: patterns", patterns, what), false)
    return self
end

--- Forgets the gradients of all parameters.
function Module:zero_grad()
    for _, parameter in self:named_parameters() do parameter.grad = nil end
end

--- Moves parameters, their gradients and buffers to a device. They stay the same tensors, so an optimiser that has them
--- goes on with them; what `state_dict` gave out before stays where it was.
---@param device string
---@return Module self
function Module:to(device)
    device = types.label("Module:to: device", device)
    for _, tensor in ipairs(self:buffers()) do core.move_(tensor, device) end
    for _, parameter in ipairs(self:parameters()) do
        core.move_(parameter, device)
        if parameter.grad then core.move_(parameter.grad, device) end
    end
    return self
end

-- Parameters and buffers in PyTorch's order: those of a module before its children's. Shared ones under every name.
local function state_entries(self)
    local entries = {}
    walk(self, function(prefix, module)
        for _, registry in ipairs {"_parameters", "_buffers"} do
            for name, tensor in rawget(module, registry):each() do
                entries[#entries + 1] = {
                    prefix == "" and name or prefix .. "." .. name, tensor,
                    optional = module.optional_state[name],
                }
            end
        end
    end, true, "", {})
    return entries
end

--- All parameters and buffers by name. The tensors share memory with the module: clone them to keep a moment.
---@return table<string, Tensor> state
function Module:state_dict()
    local state = {}
    for _, entry in ipairs(state_entries(self)) do state[entry[1]] = entry[2]:detach() end
    return state
end

--- The keys of `state_dict` in PyTorch's order.
---@return string[]
function Module:state_names()
    local names = {}
    for i, entry in ipairs(state_entries(self)) do names[i] = entry[1] end
    return names
end

local function add_list(lines, title, list)
    if #list > 0 then
        table.sort(list)
        lines[#lines + 1] = "  " .. title .. ": " .. table.concat(list, ", ")
    end
end

--- Copies tensors, from whichever device, into the parameters and buffers of the same names. Nothing is changed unless
--- everything fits; a key that is missing, unexpected or of another shape raises an error that lists all such keys.
--- Tensors that a class names in `optional_state` may be missing.
---@param state table<string, Tensor>
---@param options {strict: boolean?, assign: boolean?}? with strict = false, missing and unexpected keys are left out;
--- with assign, tensors of the module's dtype and device are not copied: the module computes with them (quick after
--- `lx.load`, as long as nobody writes into the file)
---@return {missing: string[], unexpected: string[]} left_out
function Module:load_state_dict(state, options)
    if is_module(state) then
        args.fail("load_state_dict: state: expected tensors by name, got %s; those of a network are net:state_dict()",
            args.describe(state))
    end
    options = options or {}
    local missing, unexpected, misshapen, known = {}, {}, {}, {}
    local entries = state_entries(self)
    for _, entry in ipairs(entries) do
        local name, tensor = entry[1], entry[2]
        known[name] = true
        local given = state[name]
        if given == nil then
            if not entry.optional then missing[#missing + 1] = name end
        elseif not core.is_usable(given) then
            misshapen[#misshapen + 1] = ("%s is %s, the module has %s"):format(name, args.describe(given),
                check.shape_text(tensor.shape))
        elseif check.shape_text(given.shape) ~= check.shape_text(tensor.shape) then
            misshapen[#misshapen + 1] = ("%s is %s, the module has %s"):format(name, check.shape_text(given.shape),
                check.shape_text(tensor.shape))
        end
    end
    for name in pairs(state) do
        if not known[name] then unexpected[#unexpected + 1] = tostring(name) end
    end
    local lines = {("load_state_dict: the state does not fit %s"):format(self.class_name)}
    add_list(lines, "wrong shape", misshapen)
    if options.strict ~= false then
        add_list(lines, "missing", missing)
        add_list(lines, "unexpected", unexpected)
    end
    if #lines > 1 then args.fail("%s", table.concat(lines, "\n")) end
    lx.no_grad(function()
        for _, entry in ipairs(entries) do
            local tensor, given = entry[2], state[entry[1]]
            if given ~= nil and options.assign and given.dtype == tensor.dtype and given.device == tensor.device then
                core.adopt_(tensor, given)
            elseif given ~= nil then
                tensor:copy_(given:to(tensor.device))
            end
        end
    end)
    return {missing = missing, unexpected = unexpected}
end

-- ---- printing -------------------------------------------------------------------------------------------------

--- The options shown in brackets when printed; a class replaces it.
---@return string
function Module:extra() return "" end -- luacheck: ignore 212

--- The number of elements of all parameters, shared ones once.
---@return integer
function Module:count_parameters()
    local count = 0
    for _, parameter in self:named_parameters() do count = count + parameter:numel() end
    return count
end

--- The name and options on one line, as in error messages: `Conv2d(1, 32, 3, padding=1)`.
---@return string
function Module:describe()
    return ("%s(%s)"):format(self.class_name, self:extra())
end

--- What `print` shows: the tree of modules, with the number of parameters of each.
---@param indent string?
---@return string
function Module:describe_tree(indent)
    indent = indent or ""
    local count = self:count_parameters()
    local suffix = count > 0 and ("  [%s]"):format(check.commas(count)) or ""
    local lines = {}
    for name, child in self:named_children() do
        lines[#lines + 1] = ("%s  (%s): %s"):format(indent, name, child:describe_tree(indent .. "  "))
    end
    if #lines == 0 then return self:describe() .. suffix end
    return ("%s(%s%s\n%s\n%s)"):format(self.class_name, self:extra(), suffix, table.concat(lines, "\n"), indent)
end

local FREEZING <const> = 'patterns: text|text[], options: {what: "all"|"parameters"|"statistics"?}?'

make_class(Module, nil)
declare(Module, {
    freeze = FREEZING, unfreeze = FREEZING,
    init = "...: any?", forward = "...: any?", register_buffer = "name: string, tensor: tensor",
    add_module = "name: string, module: submodule", register_forward_hook = "hook: function", apply = "f: function",
    train = "mode: boolean?", requires_grad_ = "flag: boolean?", to = "device: string",
    load_state_dict = "state: table, options: {strict: boolean?, assign: boolean?}?", describe_tree = "indent: string?",
})
args.advise(Module.load_state_dict, "lx.load gives metadata after the tensors, or nil and a message, which are no "
    .. "options: local state = assert(lx.load(path))")

return Module
