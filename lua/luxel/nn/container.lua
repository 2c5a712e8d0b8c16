--- Modules made of modules: Sequential, ModuleList; and `chain`, for a forward of one's own.

local args = require "luxel.args"
local Module = require "luxel.nn.module"
local declare = require "luxel.nn.declare"
local fuse = require "luxel.nn.fuse"

local layers = {}

-- Children are named "0", "1" ... as PyTorch does, while Lua counts from 1.
local function append(self, module)
    local name = tostring(#self)
    if rawget(self, "_modules").values[name] then
        args.fail("%s:append: the name '%s' is taken; give the module one of its own, by add_module", self.class_name,
            name)
    end
    self:add_module(name, module)
    return self
end

local function is_module(value) return type(value) == "table" and rawget(value, "_modules") ~= nil end

-- One list of modules, or with names of their own: of {name, module}.
args.type("list_of_modules", "a list of modules or of {name, module}", "table", function(value)
    if getmetatable(value) ~= nil or #value == 0 then return false end
    local named = not is_module(value[1])
    for _, one in ipairs(value) do
        if named then
            if type(one) ~= "table" or #one ~= 2 or type(one[1]) ~= "string" then return false end
            one = one[2]
        end
        if not is_module(one) then return false end
    end
    return true
end)

local function init_children(self, ...)
    for i = 1, select("#", ...) do
        append(self, args.check(("%s: module %d"):format(self.class_name, i), "submodule", (select(i, ...))))
    end
end

local function child_at(self, index)
    local count = #self:children()
    if math.tointeger(index) and index < 0 then index = index + count + 1 end
    local modules = rawget(self, "_modules")
    local child = math.tointeger(index) and modules.values[modules.names[math.tointeger(index)]]
    if not child then
        args.fail("%s:get: index: there is no module %d, it has %d", self.class_name, index, count)
    end
    return child
end

-- ---- Sequential -----------------------------------------------------------------------------------------------

---@class Sequential: Module
---@overload fun(...: Module): Sequential
local Sequential = Module.class("Sequential")
layers.Sequential = Sequential

--- `nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU())`: each module's result is the next one's input. Their names are "0",
--- "1" ..., or those of a list of pairs: `nn.Sequential {{"conv", nn.Conv2d(1, 8, 3)}, {"relu", nn.ReLU()}}`. A list of
--- modules does as well.
---@param ... Module|Module[]|{[1]: string, [2]: Module}[]
function Sequential:init(...)
    local first = ...
    if type(first) ~= "table" or getmetatable(first) ~= nil then return init_children(self, ...) end
    if select("#", ...) > 1 then
        args.fail("Sequential: takes modules, or one list of modules or of {name, module}; got more besides")
    end
    if is_module(first[1]) then return init_children(self, table.unpack(first)) end
    for _, pair in ipairs(first) do
        if rawget(self, "_modules").values[pair[1]] then args.fail("Sequential: the name '%s' comes twice", pair[1]) end
        self:add_module(pair[1], pair[2])
    end
end

--- Adds a module at the end.
---@param module Module
---@return Sequential self
function Sequential:append(module) return append(self, module) end

--- The module at an index, from 1, or from the end if negative.
---@param index integer
---@return Module
function Sequential:get(index) return child_at(self, index) end

--- One module after the other, exactly as if they were called by hand; several at a time in a view made by `nn.fuse`.
---@param x Tensor
---@return Tensor
function Sequential:forward(x)
    if fuse.is_running() then return fuse.run(self:children(), Sequential, x) end
    for _, module in self:named_children() do x = module(x) end
    return x
end

-- ---- ModuleList -----------------------------------------------------------------------------------------------

---@class ModuleList: Module
---@overload fun(...: Module): ModuleList
local ModuleList = Module.class("ModuleList")
layers.ModuleList = ModuleList

--- `nn.ModuleList(a, b)` or `nn.ModuleList({a, b})`: a list whose modules belong to the network. It has no forward.
---@param ... Module|Module[]
function ModuleList:init(...)
    local first = ...
    if type(first) == "table" and getmetatable(first) == nil then
        if select("#", ...) > 1 then args.fail("ModuleList: takes modules, or one list of them; got more besides") end
        init_children(self, table.unpack(first))
    else
        init_children(self, ...)
    end
end

--- Says that a list computes nothing.
function ModuleList:forward()
    args.fail("%s: a list has no forward; call its modules, or make it an nn.Sequential", self.class_name)
end

--- Adds a module at the end.
---@param module Module
---@return ModuleList self
function ModuleList:append(module) return append(self, module) end

--- The module at an index, from 1, or from the end if negative.
---@param index integer
---@return Module
function ModuleList:get(index) return child_at(self, index) end

--- `for i, module in list:each() do`
---@return fun(): integer, Module
function ModuleList:each()
    local i, modules = 0, self:children()
    return function()
        i = i + 1
        if modules[i] then return i, modules[i] end
    end
end

-- `#sequential`, `list[1]` and `list[1] = module` work as on any Lua list: luxel.nn.module asks for these.
for _, class in pairs(layers) do
    function class:item(index)
        if index < 0 then index = index + #self + 1 end
        local modules = rawget(self, "_modules")
        return modules.values[modules.names[index]]
    end

    function class:set_item(index, module)
        local count = #self
        if index < 1 or index > count + 1 then
            args.fail("%s: [%d]: expected an index from 1 to %d", self.class_name, index, count + 1)
        end
        module = args.check(("%s: [%d]"):format(self.class_name, index), "submodule", module)
        local name = rawget(self, "_modules").names[index]
        if name then self[name] = module else append(self, module) end
    end

    declare(class, {
        init = class == Sequential and "...: submodule|list_of_modules" or "...: submodule|submodule[]",
        append = "module: submodule",
        get = "index: integer", forward = class == Sequential and "x: any?" or "...: any?", item = "index: integer",
        set_item = "index: integer, module: any?",
    })
end

-- ---- chain ----------------------------------------------------------------------------------------------------

--- What a `Sequential` of these modules computes, for a forward whose modules have names of their own: each one's
--- result is the next one's input, and in a view made by `nn.fuse` several are computed at a time. `nn.plus(tensor)`
--- among them adds a shortcut.
---@param x Tensor
---@param ... Module|fun(x: Tensor): Tensor
---@return Tensor
layers.chain = args.public("chain", "x: any, ...: step_of_chain", function(x, ...)
    if fuse.is_running() then return fuse.run({...}, Sequential, x) end
    for i = 1, select("#", ...) do x = select(i, ...)(x) end
    return x
end)

return layers
