--- Python's pickles (protocols 0 to 5), read without running anything.
--
-- A pickle is a program for a machine with a stack. Here its values are plain data: numbers, text and booleans are
-- Lua's, everything else is a table with a `kind`. A class or function is only a name, which the caller's table has to
-- know, and what is "called" is the caller's reading of that name with its arguments: Python is nowhere. A name that is
-- not in the table is an error, with the place where it stands.

local core = require "luxel.core"

local pickle = {}

local MOST_STACK <const>, MOST_MEMO <const> = 1000000, 4000000
local CHUNK <const> = 65536

--- Stands for None.
pickle.NONE = setmetatable({kind = "none"}, {__tostring = function() return "None" end})

---@class luxel.PickleValue
---@field kind "none"|"list"|"tuple"|"set"|"dict"|"class"|"long" or what the caller's table makes
---@field [integer] any elements of lists, tuples and sets; the keys of a dict, in order
---@field values table<any, any>? of a dict, by key
---@field name string? of a class
---@field bytes string? of a whole number that Lua's do not hold, two's complement, the lowest first

-- ---- values ---------------------------------------------------------------------------------------------------

--- A new dict.
---@return luxel.PickleValue
function pickle.dict() return {kind = "dict", values = {}} end

--- Sets a value in a dict, whose keys keep the order in which they came first.
function pickle.set(dict, key, value)
    if dict.values[key] == nil then dict[#dict + 1] = key end
    dict.values[key] = value
end

-- ---- the machine ----------------------------------------------------------------------------------------------

local MARK <const> = {kind = "mark"}

local Machine = {}
Machine.__index = Machine

-- Ends the reading: what is wrong, and at which byte the operation is that did it.
function Machine:fail(form, ...)
    error({pickle = true, message = form:format(...), place = self.operation - self.start}, 0)
end

-- The next `count` bytes.
function Machine:take(count)
    local at = self.place - self.loaded + 1
    if at + count - 1 > #self.chunk then
        if count > self.stop - self.place then self:fail("it is cut off") end
        self.chunk = core.file_text(self.file, self.place, math.min(self.stop - self.place, math.max(count, CHUNK)))
        self.loaded, at = self.place, 1
    end
    self.place = self.place + count
    return self.chunk:sub(at, at + count - 1)
end

function Machine:number(form, size) return (form:unpack(self:take(size))) end

-- A length that has to lie in the rest of the file.
function Machine:length(form, size)
    local length = self:number(form, size)
    if length < 0 or length > self.stop - self.place then self:fail("it is cut off") end
    return length
end

-- The text up to the end of the line.
function Machine:line()
    local parts = {}
    while true do
        local byte = self:take(1)
        if byte == "\n" then return table.concat(parts) end
        parts[#parts + 1] = byte
        if #parts > CHUNK then self:fail("a line is too long") end
    end
end

function Machine:push(value)
    if self.top >= MOST_STACK then self:fail("it stacks more than %d values", MOST_STACK) end
    self.top = self.top + 1
    self.stack[self.top] = value
end

function Machine:pop()
    local value = self.stack[self.top]
    if value == nil or value == MARK then self:fail("a value is missing on its stack") end
    self.stack[self.top] = nil
    self.top = self.top - 1
    return value
end

function Machine:peek(kind)
    local value = self.stack[self.top]
    if value == nil or value == MARK or kind and (type(value) ~= "table" or value.kind ~= kind) then
        self:fail("%s is missing on its stack", kind and "a " .. kind or "a value")
    end
    return value
end

-- The values above the last mark, which is taken off too, as a table of a kind.
function Machine:pop_mark(kind)
    local from = self.top
    while from > 0 and self.stack[from] ~= MARK do from = from - 1 end
    if from == 0 then self:fail("a mark is missing on its stack") end
    local values = table.move(self.stack, from + 1, self.top, 1, {kind = kind})
    for i = self.top, from, -1 do self.stack[i] = nil end
    self.top = from - 1
    return values
end

function Machine:pop_some(count, kind)
    local values = {kind = kind}
    for i = count, 1, -1 do values[i] = self:pop() end
    return values
end

function Machine:memoize(place, value)
    if self.memo[place] == nil then
        if self.memo_size >= MOST_MEMO then self:fail("it remembers more than %d values", MOST_MEMO) end
        self.memo_size = self.memo_size + 1
    end
    self.memo[place] = value
end

function Machine:recall(place)
    local value = self.memo[place]
    if value == nil then self:fail("it asks for a value that it has not stored") end
    self:push(value)
end

function Machine:set_pair(dict, key, value)
    local kind = type(key) == "table" and key.kind or type(key)
    if kind == "table" or type(key) == "table" and key ~= pickle.NONE then
        self:fail("a key of a dict is a %s; text, numbers and None can be read", kind)
    end
    if key ~= key then self:fail("a key of a dict is not a number") end
    pickle.set(dict, key, value)
end

function Machine:set_pairs(dict, flat)
    if #flat % 2 ~= 0 then self:fail("a key of a dict has no value") end
    for i = 1, #flat, 2 do self:set_pair(dict, flat[i], flat[i + 1]) end
end

-- A class or function by its name, as the caller's table knows it.
function Machine:class(module, name)
    local full = module .. "." .. name
    local known = self.known(full)
    if not known then
        self:fail("it asks for %s, which is not among what is read; nothing was run", full)
    end
    return {kind = "class", name = full, known = known}
end

-- What a call would make, without it: `how` is "call", "new" or "build".
function Machine:make(how, class, arguments, ...)
    if type(class) ~= "table" or class.kind ~= "class" then
        self:fail("it calls a %s, which is not read; nothing was run", type(class) == "table" and class.kind
            or type(class))
    end
    local maker = class.known[how]
    if not maker then self:fail("it calls %s, which is not read; nothing was run", class.name) end
    if type(arguments) ~= "table" or arguments.kind ~= "tuple" then
        self:fail("the arguments of %s are no tuple", class.name)
    end
    local value, problem = maker(class, arguments, ...)
    if value == nil then self:fail("%s: %s", class.name, problem or "its arguments are not valid") end
    return value
end

function Machine:integer(text)
    local digits = text:match("^%s*([+-]?%d+)L?%s*$")
    local value = digits and math.tointeger(tonumber(digits))
    if not value then self:fail("'%s' is no whole number that can be read", text:sub(1, 40)) end
    return value
end

-- A whole number of any length.
function Machine:long(length)
    local bytes = self:take(length)
    if length == 0 then return 0 end
    if length <= 8 then return (("<i" .. length):unpack(bytes)) end
    return {kind = "long", bytes = bytes}
end

-- Text of protocol 0, in Python's notation for strings. Escapes other than those of ASCII are not needed by anything.
function Machine:quoted(line)
    local text = line:match("^'(.*)'$") or line:match('^"(.*)"$')
    if not text or text:find("\\", 1, true) then self:fail("a string in quotes cannot be read") end
    return text
end

-- Text of protocol 0: Latin-1, other characters as escapes.
function Machine:unicode(line)
    line = line:gsub("[\x80-\xff]", function(byte) return utf8.char(byte:byte()) end)
    return (line:gsub("\\(u%x%x%x%x)", function(code) return utf8.char(tonumber(code:sub(2), 16)) end)
        :gsub("\\(U%x%x%x%x%x%x%x%x)", function(code)
            local value = tonumber(code:sub(2), 16)
            if value > 0x10ffff then self:fail("a character has no meaning") end
            return utf8.char(value)
        end))
end

local function append(machine, values)
    local list = machine:peek("list")
    table.move(values, 1, #values, #list + 1, list)
end

-- Operations by their byte.
local RUN <const> = {
    ["("] = function(self) self:push(MARK) end,
    ["0"] = function(self)
        if self.stack[self.top] == MARK then self:pop_mark() else self:pop() end
    end,
    ["1"] = function(self) self:pop_mark() end,
    ["2"] = function(self) self:push(self:peek()) end,
    ["N"] = function(self) self:push(pickle.NONE) end,
    ["\x88"] = function(self) self:push(true) end,
    ["\x89"] = function(self) self:push(false) end,
    ["I"] = function(self)
        local line = self:line()
        if line == "01" or line == "00" then return self:push(line == "01") end
        self:push(self:integer(line))
    end,
    ["J"] = function(self) self:push(self:number("<i4", 4)) end,
    ["K"] = function(self) self:push(self:number("B", 1)) end,
    ["M"] = function(self) self:push(self:number("<I2", 2)) end,
    ["L"] = function(self) self:push(self:integer(self:line())) end,
    ["\x8a"] = function(self) self:push(self:long(self:length("B", 1))) end,
    ["\x8b"] = function(self) self:push(self:long(self:length("<i4", 4))) end,
    ["F"] = function(self)
        local value = tonumber(self:line())
        if not value then self:fail("a number cannot be read") end
        self:push(value + 0.0)
    end,
    ["G"] = function(self) self:push(self:number(">d", 8)) end,
    ["S"] = function(self) self:push(self:quoted(self:line())) end,
    ["T"] = function(self) self:push(self:take(self:length("<i4", 4))) end,
    ["U"] = function(self) self:push(self:take(self:length("B", 1))) end,
    ["V"] = function(self) self:push(self:unicode(self:line())) end,
    ["X"] = function(self) self:push(self:take(self:length("<I4", 4))) end,
    ["\x8c"] = function(self) self:push(self:take(self:length("B", 1))) end,
    ["\x8d"] = function(self) self:push(self:take(self:length("<i8", 8))) end,
    ["B"] = function(self) self:push(self:take(self:length("<I4", 4))) end,
    ["C"] = function(self) self:push(self:take(self:length("B", 1))) end,
    ["\x8e"] = function(self) self:push(self:take(self:length("<i8", 8))) end,
    ["\x96"] = function(self) self:push(self:take(self:length("<i8", 8))) end,
    ["]"] = function(self) self:push({kind = "list"}) end,
    ["l"] = function(self) self:push(self:pop_mark("list")) end,
    ["a"] = function(self)
        local value = self:pop()
        append(self, {value})
    end,
    ["e"] = function(self) append(self, self:pop_mark()) end,
    [")"] = function(self) self:push({kind = "tuple"}) end,
    ["t"] = function(self) self:push(self:pop_mark("tuple")) end,
    ["\x85"] = function(self) self:push(self:pop_some(1, "tuple")) end,
    ["\x86"] = function(self) self:push(self:pop_some(2, "tuple")) end,
    ["\x87"] = function(self) self:push(self:pop_some(3, "tuple")) end,
    ["}"] = function(self) self:push(pickle.dict()) end,
    ["d"] = function(self)
        local dict = pickle.dict()
        self:set_pairs(dict, self:pop_mark())
        self:push(dict)
    end,
    ["s"] = function(self)
        local pair = self:pop_some(2)
        self:set_pairs(self:peek("dict"), pair)
    end,
    ["u"] = function(self)
        local flat = self:pop_mark()
        self:set_pairs(self:peek("dict"), flat)
    end,
    ["\x8f"] = function(self) self:push({kind = "set"}) end,
    ["\x90"] = function(self)
        local values = self:pop_mark()
        local set = self:peek("set")
        table.move(values, 1, #values, #set + 1, set)
    end,
    ["\x91"] = function(self) self:push(self:pop_mark("set")) end,
    ["c"] = function(self)
        local module = self:line()
        self:push(self:class(module, self:line()))
    end,
    ["\x93"] = function(self)
        local pair = self:pop_some(2)
        if type(pair[1]) ~= "string" or type(pair[2]) ~= "string" then self:fail("the name of a class is no text") end
        self:push(self:class(pair[1], pair[2]))
    end,
    ["R"] = function(self)
        local pair = self:pop_some(2)
        self:push(self:make("call", pair[1], pair[2]))
    end,
    ["\x81"] = function(self)
        local pair = self:pop_some(2)
        self:push(self:make("new", pair[1], pair[2]))
    end,
    ["b"] = function(self)
        local state = self:pop()
        local value = self:peek()
        local problem = self.build(value, state)
        if problem then self:fail("%s", problem) end
    end,
    ["p"] = function(self) self:memoize(self:integer(self:line()), self:peek()) end,
    ["q"] = function(self) self:memoize(self:number("B", 1), self:peek()) end,
    ["r"] = function(self) self:memoize(self:number("<I4", 4), self:peek()) end,
    ["\x94"] = function(self) self:memoize(self.memo_size, self:peek()) end,
    ["g"] = function(self) self:recall(self:integer(self:line())) end,
    ["h"] = function(self) self:recall(self:number("B", 1)) end,
    ["j"] = function(self) self:recall(self:number("<I4", 4)) end,
    ["\x95"] = function(self) self:length("<i8", 8) end,
    ["Q"] = function(self)
        local value, problem = self.persistent(self:pop())
        if value == nil then self:fail("%s", problem) end
        self:push(value)
    end,
}

-- What exists and is not read, because nothing that torch writes has it.
local REFUSED <const> = {
    P = "PERSID", i = "INST", o = "OBJ", ["\x82"] = "EXT1", ["\x83"] = "EXT2", ["\x84"] = "EXT4",
    ["\x92"] = "NEWOBJ_EX", ["\x97"] = "NEXT_BUFFER", ["\x98"] = "READONLY_BUFFER",
}

local function run(self)
    while true do
        self.operation = self.place
        local byte = self:take(1)
        local operation = RUN[byte]
        if operation then
            operation(self)
        elseif byte == "." then
            return self:pop()
        elseif byte == "\x80" then
            if self:number("B", 1) > 5 then self:fail("its protocol is newer than 5") end
        else
            self:fail("its operation %s is not read", REFUSED[byte] or ("0x%02x"):format(byte:byte()))
        end
    end
end

---@class luxel.PickleReading what a pickle's names mean
---@field known fun(name: string): table? by how they are used: `call`, `new`: fun(class, arguments): value?, problem?
---@field build fun(value: any, state: any): string? gives a value its state; returns what is wrong
---@field persistent fun(id: any): any, string? the value of what is stored outside of the pickle

--- Reads the pickle that begins behind the first `start` bytes of a file and ends before `stop`.
---@param file userdata of `core.map_file`
---@param start integer
---@param stop integer
---@param reading luxel.PickleReading
---@return any value nil where it cannot be read
---@return integer|string after where it ended, or what is wrong
---@return integer? place the byte of the pickle at which it is, counted from 0
function pickle.read(file, start, stop, reading)
    local machine = setmetatable({
        file = file, start = start, stop = stop, place = start, operation = start, chunk = "", loaded = start,
        stack = {}, top = 0, memo = {}, memo_size = 0,
        known = reading.known, build = reading.build, persistent = reading.persistent,
    }, Machine)
    local ok, value = pcall(run, machine)
    if ok then return value, machine.place end
    if type(value) == "table" and value.pickle then return nil, value.message, value.place end
    error(value, 0)
end

return pickle
