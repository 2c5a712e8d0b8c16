--- How training shows itself in a terminal: a bar while an epoch runs, and a line when it is done.

local args = require "luxel.args"
local core = require "luxel.core"
local namespace = require "luxel.namespace"
local notice = require "luxel.notice"

---@class luxel.Console
local Console = namespace.class("Console", {}, {"began"})

args.type("console", "a console", "table", function(value) return getmetatable(value) == Console end)
args.type("file", "an open file", "userdata", function(value) return io.type(value) == "file" end)

local BAR <const> = 24

--- Seconds as people say them: 8 s, 2:05, 1:02:05.
---@param seconds number
---@return string
local function duration(seconds)
    seconds = math.floor(math.max(-1e9, math.min(seconds, 1e9)) + 0.5)
    if seconds < 60 then return ("%d s"):format(seconds) end
    if seconds < 3600 then return ("%d:%02d"):format(seconds // 60, seconds % 60) end
    return ("%d:%02d:%02d"):format(seconds // 3600, seconds // 60 % 60, seconds % 60)
end

-- Draws over the line that the cursor is on.
local function draw(self, text)
    if not self.live then return end
    self.stream:write("\r\27[K", text)
    self.stream:flush()
    self.drawn = text ~= ""
    notice.console = self.drawn and self or nil
end

--- A line that stays.
---@param text string
function Console:message(text)
    if self.drawn then draw(self, "") end
    self.stream:write(text, "\n")
    self.stream:flush()
end

--- Reading files: done of total.
function Console:reading(done, total)
    local filled = math.min(BAR, BAR * math.min(done, total) // total)
    draw(self, ("reading images [%s%s] %d/%d"):format(("="):rep(filled), (" "):rep(BAR - filled), done, total))
    if done == total then draw(self, "") end
end

--- Other work: done of total, with what is left of the time by how long it took so far. It begins anew with other
--- words.
---@param words string
---@param done integer
---@param total integer
function Console:working(words, done, total)
    local now = core.now()
    local began = self.began
    if not began or began.words ~= words or done < began.last then
        began = {words = words, done = done, at = now, last = done}
        self.began = began
    end
    began.last = done
    if done >= total then self.began = nil elseif now - self.last < 0.1 then return end
    self.last = now
    local filled, left = math.min(BAR, BAR * math.min(done, total) // math.max(1, total)), ""
    if done > began.done and now - began.at > 1 then
        left = ("  %s left"):format(duration((now - began.at) / (done - began.done) * (total - done)))
    end
    draw(self, ("%s [%s%s] %d/%d%s"):format(words, ("="):rep(filled), (" "):rep(BAR - filled), done, total, left))
    if done >= total then draw(self, "") end
end

--- One training step is done.
---@param s {epoch: integer, epochs: integer, batch: integer, batches: integer, rate: number, loss: number,
---  left: number}
function Console:step(s)
    local now = core.now()
    if now - self.last < 0.1 and s.batch < s.batches then return end
    self.last = now
    local filled = math.max(0, BAR * math.min(s.batch, s.batches) // s.batches)
    draw(self, ("epoch %d/%d [%s%s] %d/%d  loss %.4f  %.1f images/s  %s left"):format(s.epoch, s.epochs,
        ("="):rep(filled), (" "):rep(BAR - filled), s.batch, s.batches, s.loss, s.rate, duration(s.left)))
end

--- One epoch is done.
---@param e table the row of the log
function Console:epoch(e)
    local function known(value, digits) return value and ("%." .. digits .. "f"):format(value) or "n/a" end
    local figures = e.val_ap50 and ("AP50 %s  FROC %s"):format(known(e.val_ap50, 4), known(e.val_froc, 4))
        or e.val_dice and ("Dice %s  IoU %s"):format(known(e.val_dice, 4), known(e.val_iou, 4))
        or ("accuracy %s  AUC %s"):format(known(e.val_accuracy, 3), known(e.val_auc, 4))
    local format = "epoch %2d/%d  loss %.4f  validation: loss %.4f  %s  (%s, %.1f images/s)%s"
    self:message(format:format(e.epoch, e.epochs, e.loss, e.val_loss, figures, duration(e.seconds),
        e.images_per_second, e.is_best and "  best so far" or ""))
end

--- A console on a stream (default standard error). The bar is only drawn where somebody watches.
---@param stream file*?
---@return luxel.Console
local function console(stream)
    stream = stream or io.stderr
    local live = stream == io.stderr and core.is_terminal(2) or stream == io.stdout and core.is_terminal(1)
    return setmetatable({stream = stream, live = live, last = -1, drawn = false}, Console)
end

function Console:__tostring() return "Console on " .. tostring(self.stream) end

args.publish("Console:", Console, {
    message = "console: console, text: string",
    reading = "console: console, done: integer(0..), total: integer(1..)",
    working = "console: console, words: string, done: integer(0..), total: integer(0..)",
    step = "console: console, s: {epoch: integer, epochs: integer, batch: integer, batches: integer(1..), "
        .. "rate: number, loss: number, left: finite}",
    epoch = "console: console, e: {epoch: integer, epochs: integer, loss: number, val_loss: number, "
        .. "val_accuracy: number?, val_auc: number?, val_dice: number?, val_iou: number?, val_ap50: number?, "
        .. "val_froc: number?, loss_coordinates: number?, loss_with_object: number?, loss_without_object: number?, "
        .. "loss_classes: number?, threshold: number?, "
        .. "learning_rate: number?, "
        .. "images_per_second: number, seconds: finite, is_best: boolean?}",
})

return args.public("console", "stream: file?", console)
