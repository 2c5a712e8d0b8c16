--- `lx.profile`: where the time goes on the devices, kernel by kernel.
--
--     local report = lx.profile(function() step(x, y) end)
--     print(report)                      -- a table, the most expensive kernel first
--     report:save_trace("step.json")     -- for chrome://tracing or ui.perfetto.dev

local args = require "luxel.args"
local fixed = require "luxel.fixed"
local core = require "luxel.core"
local format = require "luxel.format"
local json = require "luxel.json"
local namespace = require "luxel.namespace"
local types = require "luxel.types"
local unbroken = require "luxel.unbroken"

---@class luxel.ProfileRow the launches of one kernel on one device; "read" and "write" stand for copies from and to it
---@field device string
---@field name string
---@field launches integer
---@field seconds number
---@field share number of the device time of all rows, 0 to 1
---@field bytes number of the tensors that it touched, each counted once a launch
---@field gflops number arithmetic operations in 1e9 a second, as counted for the whole operation
---@field gbs number 1e9 bytes a second

---@class luxel.Profile print it to see it
---@field rows luxel.ProfileRow[] the longest first
---@field seconds number that the devices computed or copied
---@field wall number seconds that passed, until the devices had done everything
---@field waits integer times that Lua waited for a device
---@field devices {label: string, name: string, seconds: number, waits: integer}[]
---@field results table what the function returned, and how many as `n`
---@field package records table<string, table[]> every launch, by device
---@field package notes string[] what the table does not show
local Profile = namespace.class("Profile", {}, {})

args.type("profile", "a profile", "table", function(value) return getmetatable(value) == Profile end)

-- ---- watching -------------------------------------------------------------------------------------------------

---@class luxel.ProfileSession devices that are being watched, until `stop`, `abandon` or its end as a closed variable
local Session = namespace.class("ProfileSession", {}, {"started"})

args.type("session", "a session of lx.profile.start", "table", function(value)
    return getmetatable(value) == Session
end)

--- Ends the watching and forgets what the devices did.
function Session:abandon()
    for _, entry in ipairs(self.watched) do pcall(core.unwatch, entry.label, entry.handle) end
    self.watched = {}
end

Session.__close = Session.abandon

local function start(labels)
    local session = setmetatable({watched = {}}, Session)
    local _ <close> = setmetatable({}, {__close = function(_, failure)
        if failure then session:abandon() end -- one of them is watched already
    end})
    for i, label in ipairs(labels) do
        session.watched[i] = {label = label, handle = core.watch(label)}
        session.watched[i].waits = core.waits(label)
    end
    session.started = core.now()
    return session
end

local function add_rows(rows, label, records)
    local by_name = {}
    for _, record in ipairs(records) do
        local row = by_name[record.name]
        if not row then
            row = {device = label, name = record.name, launches = 0, seconds = 0, bytes = 0, work = 0}
            by_name[record.name] = row
            rows[#rows + 1] = row
        end
        row.launches, row.seconds = row.launches + 1, row.seconds + record.seconds
        row.bytes, row.work = row.bytes + record.bytes, row.work + record.work
    end
end

-- Speeds and shares, and the longest first.
local function finish_rows(rows, total)
    for _, row in ipairs(rows) do
        local seconds = math.max(row.seconds, 1e-12)
        row.share = total > 0 and row.seconds / total or 0
        row.gflops, row.gbs = row.work / seconds / 1e9, row.bytes / seconds / 1e9
        row.work = nil
    end
    table.sort(rows, function(a, b)
        if a.seconds ~= b.seconds then return a.seconds > b.seconds end
        return a.device .. a.name < b.device .. b.name
    end)
end

--- Ends the watching and says what the devices did since its start.
---@return luxel.Profile
function Session:stop()
    local report = {rows = {}, devices = {}, records = {}, notes = {}, seconds = 0, waits = 0, results = {n = 0},
        started = self.started}
    for _, entry in ipairs(self.watched) do entry.waits = core.waits(entry.label) - entry.waits end
    for _, entry in ipairs(self.watched) do core.synchronize(entry.label) end
    report.wall = core.now() - self.started
    for _, entry in ipairs(self.watched) do
        local label = entry.label
        local records, complete = core.unwatch(label, entry.handle)
        local device = {label = label, name = core.device(label).name, seconds = 0, waits = entry.waits}
        for _, record in ipairs(records) do device.seconds = device.seconds + record.seconds end
        if not complete then
            report.notes[#report.notes + 1] = ("there was no memory to note all that %s did"):format(label)
        end
        add_rows(report.rows, label, records)
        report.devices[#report.devices + 1], report.records[label] = device, records
        report.seconds, report.waits = report.seconds + device.seconds, report.waits + device.waits
    end
    self.watched = {}
    finish_rows(report.rows, report.seconds)
    return setmetatable(report, Profile)
end

-- ---- the table ------------------------------------------------------------------------------------------------

local NAME_WIDTH <const> = 40

-- "opencl:1 (NAME)"; the name of cpu says that it is cpu.
local function title(device)
    return device.label == "cpu" and device.name or ("%s (%s)"):format(device.label, device.name)
end

local function cells(row, several)
    local name = row.name
    if #name > NAME_WIDTH then name = name:sub(1, NAME_WIDTH - 2) .. ".." end
    local line = {
        name, ("%d"):format(row.launches), ("%.3f"):format(row.seconds * 1e3), ("%.1f %%"):format(row.share * 100),
        ("%.1f"):format(row.seconds * 1e6 / row.launches), row.gflops > 0 and ("%.1f"):format(row.gflops) or "",
        row.bytes > 0 and ("%.1f"):format(row.gbs) or "",
    }
    if several then table.insert(line, 1, row.device) end
    return line
end

function Profile:__tostring()
    local several, first = false, self.rows[1]
    for _, row in ipairs(self.rows) do several = several or row.device ~= first.device end
    local table_rows = {{"kernel", "launches", "ms", "share", "µs each", "GFLOP/s", "GB/s"}}
    if several then table.insert(table_rows[1], 1, "device") end
    for i, row in ipairs(self.rows) do table_rows[i + 1] = cells(row, several) end
    local right = {}
    for i = several and 3 or 2, 8 do right[i] = true end
    local lines = format.columns(table_rows, right)
    for _, device in ipairs(self.devices) do
        if device.seconds > 0 or #self.devices == 1 then
            lines[#lines + 1] = ("%s: %.3f ms of %.3f ms, %d wait%s"):format(title(device), device.seconds * 1e3,
                self.wall * 1e3, device.waits, device.waits == 1 and "" or "s")
        end
    end
    return table.concat(table.move(self.notes, 1, #self.notes, #lines + 1, lines), "\n")
end

-- ---- the trace ------------------------------------------------------------------------------------------------

-- The events of one device in Chrome's trace format: a process of its own, times in microseconds.
local function add_events(events, process, device, records, started)
    events[#events + 1] = ('{"name":"process_name","ph":"M","pid":%d,"tid":1,"args":{"name":%s}}'):format(process,
        json.quote(title(device)))
    for _, record in ipairs(records) do
        local seconds = math.max(record.seconds, 1e-12)
        events[#events + 1] = ('{"name":%s,"cat":"kernel","ph":"X","pid":%d,"tid":1,"ts":%s,"dur":%s,'
            .. '"args":{"GFLOP/s":%s,"GB/s":%s}}'):format(json.quote(record.name), process,
                fixed((record.start - started) * 1e6, 3), fixed(record.seconds * 1e6, 3),
                fixed(record.work / seconds / 1e9, 3), fixed(record.bytes / seconds / 1e9, 3))
    end
end

--- Writes every launch with its time, for chrome://tracing or ui.perfetto.dev.
---@param path string
---@return boolean? ok, string? message, string? code
function Profile:save_trace(path)
    local events = {}
    for i, device in ipairs(self.devices) do
        add_events(events, i, device, self.records[device.label], self.started)
    end
    return core.write_file(path, {'{"displayTimeUnit":"ms","traceEvents":[\n', table.concat(events, ",\n"), "\n]}\n"})
end

-- ---- lx.profile -----------------------------------------------------------------------------------------------

local function labels_of(where, device)
    if device == nil then return core.open_devices() end
    local labels, seen = {}, {}
    for i, name in ipairs(type(device) == "table" and device or {device}) do
        labels[i] = types.label(where, name)
        if seen[labels[i]] then args.fail("%s: %s is there twice", where, labels[i]) end
        seen[labels[i]] = true
    end
    return labels
end

-- Devices that were opened only after the watching began are missing in the table.
local function note_unwatched(report, watched)
    local known = {}
    for _, label in ipairs(watched) do known[label] = true end
    for _, label in ipairs(core.open_devices()) do
        if not known[label] then
            report.notes[#report.notes + 1] = ("%s was first used inside and is not in the table; open it before with "
                .. "lx.device(\"%s\")"):format(label, label)
        end
    end
end

local profile = {}

--- Watches devices from now on; `session:stop()` gives the report. For what is no single function; else `lx.profile`.
---@param device string|string[]|nil default: every open device
---@return luxel.ProfileSession
function profile.start(device) return start(labels_of("profile.start: device", device)) end

--- Calls `f` and measures what the devices do meanwhile: time, launches, arithmetic and memory traffic of every kernel.
--- An error in `f` ends the measurement and goes on. Kernels that are compiled for the first time distort it little,
--- because only the time on the device counts, but the first launches may be slower: call `f` once before.
---@param f fun(): ...
---@param options {device: string|string[]|nil, trace: string?}? device: default every open one; trace: a file to write
---@return luxel.Profile report
---@return string? message, string? code where the trace could not be written
local function run(_, f, options)
    options = options or {}
    local labels = labels_of("profile: options: option 'device'", options.device)
    local session = start(labels)
    local results = table.pack(unbroken("profile", function(ok)
        if not ok then session:abandon() end
    end, f))
    local report <const> = session:stop()
    report.results = results
    if options.device == nil then note_unwatched(report, labels) end
    if options.trace then
        local ok, message, code = report:save_trace(options.trace)
        if not ok then return report, message, code end
    end
    return report
end

function Session:__tostring()
    local labels = {}
    for i, entry in ipairs(self.watched) do labels[i] = entry.label end
    return "ProfileSession of " .. (#labels > 0 and table.concat(labels, ", ") or "nothing any more")
end

args.publish("Profile:", Profile, {save_trace = "profile: profile, path: path"})
args.publish("ProfileSession:", Session, {stop = "session: session", abandon = "session: session"})
args.publish("profile.", profile, {start = "device: string|string[]?"})
namespace("lx.profile", profile)
getmetatable(profile).__call = args.public("profile",
    "self: any, f: function, options: {device: string|string[]?, trace: path?}?", run)
return profile
