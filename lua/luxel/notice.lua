--- What the library says while something takes long, such as compiling kernels. By default a line on standard error,
--- above the progress line if there is one.

local args = require "luxel.args"
local core = require "luxel.core"

local notice = {
    console = nil, ---@type luxel.Console? the one whose progress line is on the screen now
    handler = nil, ---@type fun(text: string)|false|nil what on_notice was given
}

local function show(text, ending)
    text = ("luxel: %s%s"):format(text, ending or " ...")
    if notice.console then
        notice.console:message(text)
    else
        io.stderr:write(text, "\n")
    end
end

--- Says something once, such as why a function is not replayed.
---@param text string
function notice.say(text)
    if notice.handler then
        notice.handler(text)
    elseif notice.handler == nil then
        show(text, "")
    end
end

--- Has `f(text)` called instead; `false` is for silence, nil for the line on standard error again.
---@param f fun(text: string)|false|nil
function notice.on_notice(f)
    notice.handler = f
    core.set_notice(f == nil and show or f or nil)
end

notice.on_notice = args.public("on_notice", "f: function|false?", notice.on_notice)
notice.on_notice(nil)

return notice
