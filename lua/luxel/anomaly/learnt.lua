--- The two methods that train a network on normal images: it does well on these, and what it does badly is unusual.

local lx = require "luxel"
local stages = require "luxel.anomaly.stages"

local nn, F = lx.nn, lx.nn.functional

local learnt = {}

-- Trains `net` by a loss of batches of images.
local function train(job, net, loss_of)
    local optimizer = lx.optim.AdamW(net:parameters(), {lr = job.rate, weight_decay = 1e-4})
    local steps = job.count // job.batch * job.epochs
    local schedule = lx.optim.lr_scheduler.CosineWarmup(optimizer, {warmup = steps // 20, total = steps})
    local done, last = 0, 0
    net:train()
    for epoch = 1, job.epochs do
        job.each(function(x)
            optimizer:zero_grad()
            local loss = loss_of(x)
            loss:backward()
            optimizer:step()
            schedule:step()
            done, last = done + 1, loss:item()
            job.say("training", done, steps)
        end, epoch)
        if last - last ~= 0 then
            net:eval()
            return nil
        end
    end
    net:eval()
    return net
end

-- ---- an autoencoder -----------------------------------------------------------------------------------------------

local autoencoder = {top = 1, epochs = 30, own = true}

function autoencoder.build(job)
    return lx.models.autoencoder {size = job.size, channels = 1}
end

function autoencoder.fit(job)
    job.learner = autoencoder.build(job)
    job.learner:to(job.device)
    local view = nn.fuse(job.learner)
    return train(job, job.learner, function(x) return F.mse_loss(view(x), x) end) and {}
end

function autoencoder.look(job, _, x)
    local found = lx.no_grad(function() return (nn.fuse(job.learner)(x) - x):square():mean(2) end)
    return stages.top(found:flatten(2), job.top), found
end

-- ---- a student ----------------------------------------------------------------------------------------------------

-- Student-teacher feature pyramid matching (Wang, Han, Ding and Huang, BMVC 2021): a network of the same kind learns
-- to see in normal images what the teacher sees.
local student = {usual = {2, 3, 4}, top = 0, epochs = 10}

function student.build(job)
    return lx.models.build(job.model, {size = job.size, channels = job.net.channels, outputs = 1,
        variant = job.net.pretrained and job.net.pretrained.variant})
end

-- Each place's features with a length of 1.
local function unit(map) return map / (map:square():sum(2, true) + 1e-12):sqrt() end

-- Half the squared distance of both at each place, of each stage.
local function differences(teachers, students)
    local out = {}
    for i, map in ipairs(teachers) do out[i] = (unit(map) - unit(students[i])):square():sum(2, true) * 0.5 end
    return out
end

function student.fit(job)
    job.learner = student.build(job)
    job.learner:to(job.device)
    local view = nn.fuse(stages.view(job.learner, job.stages))
    return train(job, job.learner, function(x)
        local loss
        for _, part in ipairs(differences(job.eye(x), {view(x)})) do
            loss = loss and loss + part:mean() or part:mean()
        end
        return loss
    end) and {}
end

-- The product of the stages' maps, enlarged to the finest of them: unusual is what is so at all resolutions.
function student.look(job, _, x)
    job.student_eye = job.student_eye or stages.eye(job.learner, job.stages)
    local product
    for _, part in ipairs(differences(job.eye(x), job.student_eye(x))) do
        local side = product and product.shape[3] or part.shape[3]
        if part.shape[3] ~= side then part = F.interpolate(part, {size = side, mode = "bilinear"}) end
        product = product and product * part or part
    end
    local found = product:squeeze(2)
    return stages.top(found:flatten(2), job.top), found
end

learnt.autoencoder, learnt.student = autoencoder, student

return learnt
