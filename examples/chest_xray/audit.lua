--- Looks through a folder of radiographs before anything is learnt from it: copies, patients on both sides of a
--- split, files that cannot be read, images that are blank or dark, sizes and grey levels.
--
--     lua5.4 audit.lua DIR --out report.html
--
-- The same as `luxel audit`; what it does is in lua/luxel/command/audit.lua.

require("luxel.command").program "audit"
