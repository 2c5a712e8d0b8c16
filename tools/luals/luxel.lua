---@meta luxel

---@class lx
local lx = {}

---@alias luxel.Tensor Tensor

---@class luxel.Answer
---@field label string the class at the threshold, or the one of the largest probability; of labels those above theirs, and one that says that nothing was found (No Finding) only where no other is; of a segmentation what the mask shows
---@field probability number? of that class; of labels of the likeliest one; of a segmentation and a detection none
---@field likeliest string? of labels the one of the largest probability among those of `label`, or among all that do not say that nothing was found
---@field doubts table<string, {uncertain: boolean, reasons: table[], doubt: number}>? the next three for each label
---@field mask Tensor? of a segmentation, uint8 [1,H,W] of the image's own size: 255 inside, 0 outside
---@field boxes luxel.FoundBox[]? of a detection those from the model's threshold on, the best first, in pixels of the image from the top left
---@field share number? of a segmentation the share of the picture that is inside, 0..1
---@field infected number? of two classes the probability of the positive one
---@field positive boolean whether it is what should be looked at: the positive class, any label, or of several classes one whose name does not say that nothing was found (normal, healthy, no_finding, ..., or no_X beside X)
---@field threshold number? where the label's plain reading and the threshold disagree: the threshold
---@field classes table<string, number>? the probabilities of all classes or labels
---@field path string? the file, or the name that was given to bytes
---@field info luxel.ImageInfo? what the file says of itself
---@field age number? of the patient in years, as it was given or as the file says
---@field findings table[]? what speaks against reading the picture at all: see `lx.vision.quality`
---@field uncertain boolean? whether to leave it to a person; nil where the model's file keeps nothing to tell by
---@field reasons {code: "population"|"close"|"unlike"|"quality", message: string}[]? why it is uncertain: the patient is older or younger than those of the training, it is close to the threshold, unlike the images of the training, or for its findings
---@field doubt number? from 0 to 0.5: the larger, the likelier the answer is wrong; it orders images, and is no probability; of labels this and the two before it are of the likeliest one
---@field notice string

---@class Calibration
---@field scale number? of Platt's scaling
---@field shift number?
---@field temperature number?
---@field logits number[]? of isotonic regression, ascending
---@field probabilities number[]?
---@field a number? of beta calibration, which has b and c too

---@class luxel.ClassesReport
---@field task "classes"
---@field n integer labelled images
---@field missing integer images without a label
---@field classes string[]
---@field confusion integer[][] images: rows are true classes, columns the called ones (those of the largest probability)
---@field accuracy number?
---@field mcc number? Matthews' correlation, of all classes
---@field intervals {accuracy: number[]?} {low, high}
---@field each luxel.Report[] of each class against all others: the area by its probability, the rates by what was called
---@field macro_auc number? mean of the areas that are defined
---@field macro_sensitivity number? mean of the sensitivities, the balanced accuracy
---@field brier number? mean over images of the sum of squares over classes (Brier, Monthly Weather Review 78:1, 1950)
---@field macro_average_precision number? mean of those that are defined
---@field log_loss number?
---@field ece number? of the probability of the called class
---@field ece_calibrated {mean: number, quantile: number, n: integer}? that of a perfectly calibrated model
---@field bootstrap table as of luxel.Report

---@class luxel.Conformal
---@field classes integer how many
---@field scores number[][] nonconformity of the images it was fitted on, ascending; of each class where `by_class`, else in one list
---@field by_class boolean

---@class luxel.Confusion
---@field tp integer
---@field fp integer
---@field tn integer
---@field fn integer
---@field threshold number

---@class luxel.Device
---@field label string "cpu", "opencl:1": what `device` options and `:to` take, and `t.device` gives back
---@field kind string "cpu", "opencl"
---@field name string
---@field type "cpu"|"gpu"|"accelerator"
---@field platform string?
---@field driver string?
---@field version string?
---@field memory integer? bytes that it has
---@field largest integer? bytes that one tensor may have
---@field local_memory integer? bytes that the work-items of a group share
---@field units integer that compute at once: threads, or what the driver calls compute units
---@field lanes integer floats in a vector
---@field fp16 boolean computes with half floats
---@field shares_memory boolean uses the host's memory

---@class luxel.Devices: {[integer]: luxel.Device}
---@field why string? why there are no more of them

---@class luxel.ExplainOptions
---@field class integer|integer[]|string|nil what is explained: the number of a logit, from 1 (default: of each image the largest); of a network with one logit 1 (what speaks for it, the default) or 0 (against it); a list says it for each image. Of a model of `lx.predictor` also the name of a class; of two classes the positive one is the default
---@field batch integer? images that go through the network together
---@field layer string? pattern of names of modules, as of `Module:freeze`; of those that fit, the last one that gives a map [N,K,h,w] is taken. By default the last map before the head and its pooling
---@field window integer? side of the window in pixels of the network's input; a tenth of the smaller side
---@field stride integer? from one window to the next; half a window. The last ones end at the edge
---@field baseline number? level of what stands for no information, in the network's input (where 0 is about the mean of training); of each image its darkest level
---@field steps integer? of the integral
---@field samples integer? noisy copies
---@field noise number? deviation of the noise as a share of the range of each image
---@field seed integer? of the noise, which is the same for every image

---@class luxel.Finding
---@field code "blank"|"small"|"low_contrast"|"dark"|"bright"|"clipped"|"blurred"|"inverted"|"rotated"| "no_chest"|"lateral"
---@field message string
---@field value number what was measured
---@field limit number

---@class luxel.FoundBox
---@field x number
---@field y number
---@field w number
---@field h number
---@field score number 0 to 1: that of an object times that of its class; it orders boxes, and is no probability that anybody has measured
---@field class integer from 1
---@field label string? its name

---@class luxel.ImageInfo
---@field format string of `vision.formats`
---@field width integer of the upright picture
---@field height integer
---@field channels integer as stored: 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha
---@field bits integer of a sample that mean something: of 16-bit PNG and TIFF files those that are in use, which white is the end of
---@field white number? the level that is white, where black is 0; nil where values are units of their own, and of `vision.probe`
---@field orientation integer as EXIF counts: 1 upright, 3 upside down, 6 to be turned clockwise, ...
---@field frames integer frames of a DICOM file, pages of a TIFF file, slices of a MetaImage
---@field modality string? DICOM: "CR", "DX", ...
---@field photometric string? DICOM: "MONOCHROME1" (white is at the small end of what is stored), "MONOCHROME2", ...
---@field view_position string? DICOM: "PA", "AP", "LL", ...
---@field laterality string?
---@field body_part string?
---@field sex string?
---@field age string?
---@field pixel_spacing number[]? millimetres between rows and between columns, in the patient
---@field detector_spacing number[]? the same at the detector
---@field windows {centre: number, width: number}[]?
---@field voi_function string?
---@field rescale_slope number?
---@field rescale_intercept number?
---@field transfer_syntax string?

---@class luxel.Labels
---@field labels table<string, integer> by finding 1 (present), 0 (absent) or -1 (uncertain), none of what is not mentioned; "No Finding" is 1 where nothing but devices is present or uncertain, and absent where there is no text
---@field mentions luxel.Mention[] what decided, in the order of the text

---@class luxel.LabelsReport
---@field task "labels"
---@field n integer images
---@field classes string[] the labels
---@field each luxel.Report[] of each label, over the images that have it known
---@field macro_auc number? mean of the areas that are defined
---@field macro_average_precision number? mean of those that are defined
---@field bootstrap table as of luxel.Report

---@class luxel.Mention
---@field finding string
---@field value integer? 1 present, 0 absent, -1 uncertain; nil where it says nothing of the film, as of a history
---@field section string
---@field sentence integer its number in the report, from 1
---@field words string the words that name the finding, as they are written
---@field cue string? the words that decided besides
---@field severity string? as it is said; where several are, with "; " between
---@field side string?
---@field place string?

---@class luxel.NetworkOptions
---@field outputs integer? default 1
---@field channels integer? of the images, default 1
---@field size integer? side of the images in pixels, where the weights depend on it; elsewhere it is only checked
---@field dropout number? probability while training, where the network has a dropout; its paper's by default
---@field pretrained string? of classifiers: file of weights to begin with, of torch.save, safetensors or Luxel
---@field source string? where these come from, where the file does not tell; an unknown one is told what there is
---@field head "replace"|nil the last layer is not that of the file, but a new one

---@class luxel.ProfileRow
---@field device string
---@field name string
---@field launches integer
---@field seconds number
---@field share number of the device time of all rows, 0 to 1
---@field bytes number of the tensors that it touched, each counted once a launch
---@field gflops number arithmetic operations in 1e9 a second, as counted for the whole operation
---@field gbs number 1e9 bytes a second

---@class luxel.Region
---@field x integer pixels from the left
---@field y integer pixels from the top
---@field w integer
---@field h integer
---@field width integer of the whole picture
---@field height integer

---@class luxel.Report
---@field n integer labelled images
---@field missing integer images without a label
---@field positives integer
---@field negatives integer
---@field threshold number
---@field prevalence number? at which precision and npv are, where it is not that of the images
---@field confusion luxel.Confusion
---@field accuracy number?
---@field balanced_accuracy number?
---@field sensitivity number?
---@field specificity number?
---@field precision number?
---@field npv number?
---@field f1 number?
---@field mcc number? Matthews' correlation
---@field auc number?
---@field delong number[]? {low, high} of the area by DeLong's method, which takes each image for a patient of its own
---@field average_precision number? area under the precision-recall curve
---@field brier number? nil too, like what follows, where the scores are not probabilities
---@field log_loss number?
---@field ece number?
---@field ece_calibrated {mean: number, quantile: number, n: integer}? the error of a perfectly calibrated model: see `metrics.calibrated_ece`
---@field reliability table[]? the bins of `metrics.ece`
---@field intervals table<string, number[]> {low, high} by the names above; nil where all resamples agree
---@field bootstrap table {n, seed, level, unit = "patient" or "image", units, message?}

---@class luxel.Rules
---@field path string the file
---@field findings string[] the names of what is reported, in order
---@field count integer how many phrases there are

---@class luxel.SearchHits
---@field hits {report: integer, score: number, terms: string[]}[] the best first; terms: of the query that it has
---@field found integer how many reports have any term of the query
---@field missing string[] terms of the query that no report has

---@class luxel.Shortcuts
---@field nuisances table[] for each: name, what (of which features), outside (no lung is in them), and auc, low, high, class, against of the class that it tells best, logits, each (the same of every class); or problem, why it was not measured
---@field styles luxel.Styles? of the images that could be read; nil with fewer than its clusters
---@field images integer[] the places in the audit of the images that `logits` and `styles.cluster` are of
---@field markers table<string, number> share of the images of each class with text or markers
---@field warning string? a line, where something outside the lungs tells a class

---@class luxel.Study
---@field path string
---@field model string its file
---@field task string
---@field label string the answer in short
---@field findings luxel.StudyFinding[] the likeliest first
---@field quality {code: string, message: string}[] what speaks against reading the film at all
---@field reasons {code: string, message: string}[] why the answer is uncertain
---@field suggestions luxel.Suggestions? where rules were given
---@field age number? in years
---@field age_of "given"|"header"|nil where the age is from
---@field sex string? as the header of a DICOM file says
---@field view string? "PA", "AP", "LL", ... likewise
---@field urgency string?
---@field notice string
---@field image luxel.Tensor uint8 the film
---@field metadata table of the model's file

---@class luxel.StudyFinding
---@field finding string
---@field probability number calibrated
---@field threshold number? of several classes none
---@field positive boolean whether the model says that it is there
---@field doubt number? from 0 to 0.5, of two classes and of labels where the model's file keeps it
---@field uncertain boolean?
---@field map luxel.StudyMap? where the answer comes from

---@class luxel.StudyMap
---@field method string of `lx.explain`
---@field place string where in the picture the largest value is
---@field peak {x: number, y: number} its middle, as shares of width and height from the left and the top
---@field most number the largest value
---@field grid number[][] the map in 16 rows of 16 means, as shares of the largest value
---@field picture luxel.Tensor uint8 [3,H,W] the map over the film

---@class luxel.Suggestion
---@field say string
---@field finding string
---@field rule string its name
---@field line integer of the rule in its file
---@field source string title of what the rule is from
---@field section string where in it

---@class luxel.SuggestionRule
---@field name string
---@field line integer
---@field findings string[] one of which it is about, as the table calls them
---@field probability table? {word = "positive"|"negative"} by the model's threshold, or {low, high}: low <= p < high
---@field doubt table? {word = "certain"|"uncertain"} or {low, high}
---@field age table? {low, high} in years, low <= age < high
---@field urgency table<string, boolean>? of the request
---@field say string
---@field source luxel.SuggestionSource

---@class luxel.SuggestionRules
---@field path string the file
---@field name string
---@field version string as the file says it
---@field findings string[] the findings that rules may be about
---@field rules luxel.SuggestionRule[]

---@class luxel.SuggestionSource
---@field name string
---@field line integer
---@field title string
---@field section string where in it the rule is from

---@class luxel.Suggestions
---@field suggestions luxel.Suggestion[] in the order of the rules
---@field unjudged {rule: string, finding: string, missing: string[]}[] rules that could not be judged, and what is not known
---@field without_rule string[] findings that no rule is about
---@field rules string name, version and file of the table
---@field notice string

---@class TensorOptions
---@field dtype ("float32"|"uint8"|"int32")? default float32
---@field device string? default "cpu"
---@field requires_grad boolean?

---@class luxel.TorchInfo
---@field format "zip"|"legacy" the one since torch 1.6, or the one before
---@field names string[] of the tensors, in the file's order
---@field key string? where among the contents they are, if they are not all of them
---@field left_out string[] what beside the tensors is not one of them, and buffers that are not kept
---@field contents any all that the file holds, as Lua's values: dicts and lists are tables, None is `lx.io.torch.none`, a module is {class = NAME, fields = {…}}, a class its name; whole numbers beyond 64 bits are text, two's complement in hexadecimal

---@class luxel.Tuned
---@field device string
---@field entries {problem: string, way: string, seconds: number, usual: number, ways: integer, rejected: integer}[] problem: what is computed, with all sizes; way: the fastest variant, of `ways` in number; usual: the time of the default one; rejected: variants that did not run or gave another result
---@field saved boolean whether the next process finds it

---@class luxel.Unusual
---@field path string the file, or the name that was given to bytes
---@field score number the larger, the more unusual
---@field p number share of normal images whose score is as large or larger, above 0 and at most 1
---@field unusual boolean whether p is at most the level
---@field findings table[] what speaks against reading the picture at all: see `lx.vision.quality`
---@field map Tensor? float32 [1,H,W] of the image's own size: 1 is what one place in a hundred of a usual normal image exceeds
---@field image Tensor? uint8 [1,H,W]
---@field notice string

---@class luxel.Adapted
---@field steps string[] that were done
---@field left_out {step: string, why: string}[] what was asked for or usual, and not done
---@field calibration table|false
---@field threshold number
---@field prior number? the share of the positive class that was found without labels
---@field images integer
---@field labelled integer
---@field patients integer? nil where nothing tells them
---@field report table? before and after on patients kept out, where there are labels: {n, folds, rows}, each row {name, before, after, low, high}: the interval is of the difference
---@field unlike {before: number, after: number}? shares of the images that are unlike those of the training
local Adapted = {}

--- Writes the adapted model. Its file says where and when it was adapted, on how many images, and how; and the images
--- and patients are known to it as those of the training are (`lx.data.unseen`).
---@param path string another file than the model's
---@param options? {place?: string, date?: string} place: the hospital, in your words; date: default today's
---@return boolean? ok, string? message, string? code "model" where nothing was changed, and there is nothing to write
function Adapted:save(path, options) end

---@class luxel.Audit
---@field frame luxel.Frame
---@field records table[] for each image what `core.survey` says, or false where it cannot be read
---@field unreadable {path: string, message: string, code: string}[]
---@field classes table[] name, images, patients, histogram (shares of 64 levels) of each class
---@field parts table[] name, images, and classes (images of each) of train, val, test, where there are such
---@field sizes table width and height: least, median, most; distinct: number of different sizes
---@field formats table<string, integer>
---@field bits table<integer, integer> images by the bits of their samples
---@field coloured integer images with colours
---@field duplicates integer[][] groups of images whose pixels are the same
---@field near {a: integer, b: integer, distance: integer, correlation: number}[] pairs that look the same
---@field patients table number, most (images of one), several (patients with more than one)
---@field in_two_parts string[] patients with images in more than one part
---@field in_two_classes string[] patients with images of several classes
---@field suspects {image: integer, why: string[]}[] blank, flat, dark, bright, small, inverted, turned or lateral images, and what is probably no chest radiograph
local Audit = {}

--- The columns in which two copies of an image differ and should not: class, part, patient. What is not known of one of
--- them is no difference.
---@param a integer
---@param b integer
---@return string[]
function Audit:conflicts(a, b) end

--- Extra copies: images that could go without anything being lost.
---@return integer
function Audit:copies() end

--- The findings, a line each.
---@return string[]
function Audit:findings() end

--- Writes a page with tables, plots and pictures that needs nothing else.
---@param path string
---@return boolean? ok, string? message, string? code
function Audit:report(path) end

--- How well the class can be guessed from what should not matter: border and corners of the images, text and markers,
--- size, compression; and from what is of the whole picture and so of the disease as well: levels, sharpness, bytes.
--- Each by a linear classifier of its own that is cross-validated over five folds of patients; of several classes each
--- is told from the rest, and the best told one is named. Beside that the styles of the images, as `styles` finds them.
--- With the default options it is computed once.
---@param options? {k?: integer, seed?: integer, resamples?: integer} k: clusters, default 8; seed: default 1; resamples: of the bootstrap of patients, default 1000
---@return luxel.Shortcuts
function Audit:shortcuts(options) end

---@class luxel.BorderProbe
---@field name string the class that the border tells best
---@field against string what it is told from: the other of two classes, or all others
---@field auc number of the cross-validated logits
---@field low number? 95 % interval, by a bootstrap of patients
---@field high number?
---@field logits number[] of each image, by a probe that was fitted without the image's patient
---@field each {name: string, against: string, auc: number, low: number?, high: number?, logits: number[]}[] the same of every class; of two classes there is one, the second
local BorderProbe = {}

--- The logits of other images, by the probe that was fitted to all images it was made of: how much of a network's logit
--- on them goes along with the border's.
---@param images Dataset|Frame of which labels are not needed
---@param name? string? a class of `each`; default the one that the border tells best
---@return number[]? logits of that class
---@return string? message, string? code where a file of a frame cannot be read
function BorderProbe:score(images, name) end

---@class luxel.Compiled
---@field package f function
---@field package options {name: string}
---@field package entries table<string, {calls: integer, attempts: integer, pending: table<string, luxel.Recording>, recordings: luxel.Recording[]}> by signature; pending, by state, are those that wait for a call that does the same
---@field package count integer recordings in all
---@field package eager string? why the function itself is called from now on
---@field package said table<string, boolean> the messages there were
---@field package seen integer entries
---@field package replays integer
---@field package lost integer recordings that can never be used again
local Compiled = {}

--- What was recorded. Of each recording: `steps` (launches and the like), of these `dropped` and `folded` ones (whose
--- results stay until what they read is changed); bytes of the `arena`, of all `temporaries` in it, of the results that
--- stay (`constants`), of tensors that outlive the function (`kept`), and what all that is made in the function took at
--- most when it was recorded (`eager`).
---@return {eager: string?, replays: integer, recordings: table[]}
function Compiled:facts() end

--- Forgets all recordings, and frees what they hold; the next calls are recorded anew.
function Compiled:reset() end

---@class luxel.Console
local Console = {}

--- One epoch is done.
---@param e {epoch: integer, epochs: integer, loss: number, val_loss: number, val_accuracy?: number, val_auc?: number, val_dice?: number, val_iou?: number, val_ap50?: number, val_froc?: number, loss_coordinates?: number, loss_with_object?: number, loss_without_object?: number, loss_classes?: number, threshold?: number, learning_rate?: number, images_per_second: number, seconds: number, is_best?: boolean} the row of the log
function Console:epoch(e) end

--- A line that stays.
---@param text string
function Console:message(text) end

--- Reading files: done of total.
---@param done integer
---@param total integer
function Console:reading(done, total) end

--- One training step is done.
---@param s {epoch: integer, epochs: integer, batch: integer, batches: integer, rate: number, loss: number, left: number}
function Console:step(s) end

--- Other work: done of total, with what is left of the time by how long it took so far. It begins anew with other
--- words.
---@param words string
---@param done integer
---@param total integer
function Console:working(words, done, total) end

---@class Darknet: Module
---@field channels integer of the images
---@field height integer of the images that the file names; others may do
---@field width integer
---@field layers Module the layers by their numbers in darknet, from 0
---@field detections {kind: "region"|"yolo", layer: integer, anchors: number[][], all: number[][]?, own: integer[]?, classes: integer, stride: integer, options: table}[] all, own: of "yolo", the anchors of all maps, and the numbers of this one's; stride: pixels from cell to cell
---@field header {major: integer, minor: integer, revision: integer, seen: integer, bytes: integer}? of its weights
local Darknet = {}

--- The results of all layers, for comparisons.
---@param x? Tensor [N,channels,H,W]
---@return table<integer, Tensor> by their numbers in darknet, from 0
function Darknet:each_result(x) end

--- How many layers it has, for `print`.
---@return string
function Darknet:extra() end

--- The maps that the detection layers read, in their order; without such layers, the last layer's result.
---@param x? Tensor [N,channels,H,W]
---@return Tensor ... [N,anchors (5 + classes),H',W'] each
function Darknet:forward(x) end

---@class luxel.Dataset
---@field images luxel.Tensor? uint8 [N,C,size,size]; nil where they are in a store
---@field size integer? default side of the images of batches
---@field crop "lungs"|nil the part of the films that the images are, nil for all
---@field task "binary"|"classes"|"labels"|"segmentation"|"detection" see luxel.Frame
---@field labels luxel.Tensor float32, NaN missing: [N] of 0 (negative) and 1, or of class numbers from 0; [N,K] of 0 and 1; of a segmentation [N], 0 where there is a mask; of a detection [N], 1 where there are objects, 0 where it is known that there are none
---@field paths string[]
---@field groups any[]|false the patient of each image; false where no patient is known
---@field classes string[] the names of label 0 and label 1; of label 0, 1, 2, ...; of the K labels; of what the masks show; of the objects in boxes
---@field failed {path: string, message: string, code: string}[] files that could not be read, and are not in the rest
---@field boxes table[][]? per image a list of {x =, y =, w =, h =, ...} in pixels of the file (of the image where they are in memory) from the top left, where known; of a detection with `label`, one of the classes, which may be left out where there is one; crowd = true: many, or a difficult one, which is not learnt and counts for nothing
---@field masks (string|false)[]|luxel.Tensor|nil a mask for each image, of any size in the image's proportion, not 0 inside: files (false where there is none), or uint8 [N,1,H,W]
---@field memory integer? bytes of decoded images that are kept, and as much again for masks in files
---@field reduce integer? pixels of the shorter side that images and masks in files are reduced to
local Dataset = {}

--- The class of a box of a detection, from 1. One that is none of the dataset's is an error.
---@param i integer the image
---@param box {x?: number, y?: number, w?: number, h?: number, label?: string, crowd?: boolean, score?: number}
---@return integer
function Dataset:class_of(i, box) end

--- How many images each class has; of several labels, how many have each; of a detection how many objects; and how many
--- images have no label at all.
---@return integer[] counts in the order of `classes`
---@return integer missing
function Dataset:counts() end

--- Height and width in which boxes are given: of the file, or of the image in memory.
---@param i integer
---@return integer height, integer width
function Dataset:extent(i) end

--- Training and validation datasets for cross-validation, as `Frame:folds` makes them.
---@param count integer how many, at least 2
---@param options? {seed?: integer} default 1
---@return {train: luxel.Dataset, val: luxel.Dataset}[]? folds, string? message, string? code with too few patients
function Dataset:folds(count, options) end

--- Hashes of the decoded pixels of each image, whatever its file is called; 0 where it was not
--- read yet. Images in memory that come from no file are known by their samples.
---@return integer[]
function Dataset:hashes() end

--- One image as it is stored.
---@param i integer
---@return luxel.Tensor? image uint8 (float32 on the scale 0..255 where the file has more than 8 bits) [C,H,W]
---@return string? message, string? code
function Dataset:image(i) end

--- A fold for each group of images, such as the styles of `lx.data.styles` or the hospitals they came from: what is
--- learnt without it is judged on it. Of the other images, those of its patients are in neither part.
---@param groups any[] the group of each image, any value; false where an image is of none, and always trained on
---@return {group: any, train: luxel.Dataset, val: luxel.Dataset}[]? folds in the order in which groups are first met
---@return string? message, string? code where nothing is left to train on
function Dataset:leave_group_out(groups) end

--- The mask of an image as it is stored, or nil where it has none.
---@param i integer
---@return luxel.Tensor? mask uint8 [1,H,W], not 0 inside
---@return string? message, string? code where its file cannot be read
function Dataset:mask(i) end

--- The masks by number, or nil where there are none, and which of them each image has (0: none; nil: the one of its own
--- number). Those in files are reduced as the images are.
---@return luxel.Store?, integer[]? places
function Dataset:mask_source() end

--- Where batches come from: decoded images by number, and which of them each image is (nil: the one of its own number).
---@return luxel.Store store, integer[]? places
function Dataset:source() end

--- Training, validation and test datasets, as `Frame:split` makes them; images of unknown patients are split singly.
---@param options? {val?: number, test?: number, seed?: integer} val: share of the images, default 0.15; test: default 0; seed: default 1
---@return luxel.Dataset? train, luxel.Dataset|string val, luxel.Dataset|string test nil, message, code where too few
function Dataset:split(options) end

--- A new dataset of the images at `indices`, in that order.
---@param indices integer[]
---@return luxel.Dataset
function Dataset:subset(indices) end

---@class luxel.Detector
---@field method string
---@field size integer side of what the method sees, in pixels
---@field device string
---@field path string? its file
---@field metadata table what the file says of it
local Detector = {}

--- What there is to say of several films. One that cannot be read does not hold up the others.
---@param sources (string|{bytes: string, name: string?})[] paths, or bytes of files
---@param options? {level?: number, maps?: boolean, images?: boolean, quality?: boolean} level: up to which p is unusual, default 0.05; maps: default true; images: keep the pictures in their own size, default false; quality: look for what speaks against reading a picture, default true
---@return (luxel.Unusual|{path: string, message: string, code: string})[] answers in order; with a message and a code instead of a score where there is none
function Detector:all(sources, options) end

--- What a score means: the share of the normal images of patients kept out, and of the image itself, whose score is as
--- large or larger. Of n of them at least 1 / (n + 1).
---@param score number
---@return number p
function Detector:p_value(score) end

--- What there is to say of one film; `detector(source)` is the same.
---@param source string|{bytes: string, name?: string}
---@param options? {level?: number, maps?: boolean, images?: boolean, quality?: boolean} as for `all`
---@return luxel.Unusual? answer, string? message, string? code
function Detector:predict(source, options) end

--- Writes the detector: one file of safetensors, with which `lx.anomaly.open` needs nothing else. It knows the images
--- and the patients that it learnt from (`lx.data.unseen`).
---@param path string
---@return boolean? ok, string? message, string? code
function Detector:save(path) end

--- The score of every image of a dataset: the larger, the more unusual.
---@param dataset luxel.Dataset
---@param options? {progress?: function}
---@return number[]? scores, string? message, string? code "result", "device", "memory"
function Detector:scores(dataset, options) end

---@class luxel.Frame
---@field task "binary"|"classes"|"labels"|"segmentation"|"detection" what is asked of an image: which of two classes, which of many, which of several labels that do not exclude each other, which pixels, where which objects are
---@field classes string[] the names: of label 0 and label 1; of label 0, 1, 2, ...; of the labels; of what masks show; of the objects
---@field path string[]
---@field label (number|number[])[] a number from 0 (1: positive); of several labels a list of 0, 1 and NaN (missing); of a segmentation 0 where there is a mask; of a detection 1 where there are boxes, 0 where it is known that there is nothing, NaN where nothing is known
---@field group string[] the patient; the path where it is not known
---@field source (string|false)[] where the patient is known from (a column, DICOM, a collection); false if it is not
---@field part (string|false)[] "train", "val" or "test" where it is known
---@field boxes table[][]? for each image a list of {x =, y =, w =, h =, ...} in pixels from the top left
---@field mask (string|false)[]? the file with the mask of each image, false where there is none
---@field groups_known boolean whether the patient of any image is known
---@field patient_column string? a column that was not read, but probably holds the patient
---@field left_out {path: string, why: string}[] files that are no images of a class
---@field root string the folder or the table it was read from
local Frame = {}

--- A new frame with the rows for which `keep(row, i)` is true; a row has path, label, group,
--- part, boxes and mask.
---@param keep fun(row: table, i: integer): any
---@return luxel.Frame
function Frame:filter(keep) end

--- Training and validation frames for cross-validation: so many parts of about as many images, no patient in two of
--- them, each with about the same share of every class; each is the validation frame once, and the others train.
---@param count integer how many, at least 2
---@param options? {seed?: integer} default 1
---@return {train: luxel.Frame, val: luxel.Frame}[]? folds, string? message, string? code with too few patients
function Frame:folds(count, options) end

--- The rows of the part `name` ("train", "val" or "test").
---@param name "train"|"val"|"test"
---@return luxel.Frame
function Frame:in_part(name) end

--- Reads the images: decoded in parallel, grey, resized to `size` x `size`, kept in memory as bytes. Where there are
--- masks, images keep the sizes in which these fit them: use `open`.
---@param options? {size?: integer, crop?: "lungs", strict?: boolean, progress?: function} size: pixels, default 128; crop: of each only the part with both lungs (`lx.vision.find_lungs`), as models want it that were trained so; strict: a file that cannot be read ends the reading, else it is listed in `failed`
---@return luxel.Dataset? dataset, string? message, string? code
function Frame:load(options) end

--- A dataset of the images in their own sizes, each decoded when a batch first wants it; batches bring them to `size`.
---
--- Decoded images stay in memory up to a limit. With `cache` all of them are decoded at once, into one file on disk
--- that is used again as long as the images, their times of change and these options are the same; a damaged or
--- foreign file is made anew. With `reduce`, larger images are kept at that length of their shorter side: twice the
--- size of what the network sees loses nothing that it could see, and is read much faster.
---@param options? {size?: integer, crop?: "lungs", reduce?: integer, channels?: 1|3, memory?: number, cache?: string, strict?: boolean, progress?: function} size: pixels, default 224; crop: as of `load`, before `reduce`; reduce: pixels, default 0, which is never; channels: default 1; memory: bytes, default 1 GiB, and as much again for masks, where there are some; strict: a file that cannot be read is an error where there is a cache, else it is listed in `failed`; without a cache it is an error of the batch that needs it
---@return luxel.Dataset? dataset, string? message, string? code
function Frame:open(options) end

--- A new frame with the rows in random order.
---@param seed? integer? default 1
---@return luxel.Frame
function Frame:shuffle(seed) end

--- Training, validation and test frames, no patient in two of them, each with about the same share of every class (of
--- several labels: of the rarest one that an image has). Images of unknown patients are split singly.
---@param options? {val?: number, test?: number, seed?: integer} val: share of the images, default 0.15; test: default 0; seed: default 1
---@return luxel.Frame? train, luxel.Frame|string val, luxel.Frame|string test nil, message, code with too few patients
function Frame:split(options) end

--- How many images have no known patient, and would be split singly.
---@return integer
function Frame:unknown_patients() end

---@class luxel.opencl.Kernel
---@field name string
---@field source string
---@field options string
---@field package handles table<string, userdata> compiled, by device
---@operator call: fun(self: luxel.opencl.Kernel, range: luxel.opencl.Range, ...: luxel.opencl.Argument)
local Kernel = {}

--- Compiles the kernel for a device, if it is not yet, and describes its parameters. A launch does that by itself.
---@param device? string? default "opencl"
---@return {name: string?, type: string?, written: boolean?}[] parameters without fields where the driver does not say
function Kernel:build(device) end

---@class Module
---@field training boolean true after `train()`, the initial state; false after `eval()`
---@operator call(...): ...
local Module = {}

--- Adds a module under a name that need not be an identifier.
---@param name string
---@param module Module
function Module:add_module(name, module) end

--- Calls `f(module)` for every module, children before parents.
---@param f fun(module: Module)
---@return Module self
function Module:apply(f) end

--- The buffers as a list.
---@return Tensor[]
function Module:buffers() end

--- The modules directly inside.
---@return Module[]
function Module:children() end

--- A copy with parameters, buffers and fields of its own; what was shared inside is shared inside the copy. Gradients
--- and forward hooks are left behind, and functions and objects with a metatable (an optimiser, say) are the same ones.
---@return Module
function Module:clone() end

--- The number of elements of all parameters, shared ones once.
---@return integer
function Module:count_parameters() end

--- The name and options on one line, as in error messages: `Conv2d(1, 32, 3, padding=1)`.
---@return string
function Module:describe() end

--- What `print` shows: the tree of modules, with the number of parameters of each.
---@param indent? string?
---@return string
function Module:describe_tree(indent) end

--- The same as `train(false)`.
---@return Module self
function Module:eval() end

--- The options shown in brackets when printed; a class replaces it.
---@return string
function Module:extra() end

--- What the module computes; a class replaces it, and users call the module itself.
---@param ... any
function Module:forward(...) end

--- Freezes what the patterns fit: its parameters require no gradient, and batch normalisation in it normalises by its
--- running statistics and leaves them as they are, also after `train()`. Patterns are globs over the names of
--- `state_dict`: `*` any characters, dots among them, `?` one, `[0-3]` one of a set; a name with more behind a dot
--- stands for all of that; `!` before a pattern takes it out of those before it. `net:freeze "features"`,
--- `net:freeze {"conv_stem", "bn1", "blocks.[0-3]"}`, `net:freeze {"*", "!classifier"}`. One that fits nothing is an
--- error.
---@param patterns string|string[]
---@param options? {what?: "all"|"parameters"|"statistics"} what: default "all"; "statistics" lets the parameters of batch normalisation learn by statistics that stay
---@return Module self
function Module:freeze(patterns, options) end

--- Copies tensors, from whichever device, into the parameters and buffers of the same names. Nothing is changed unless
--- everything fits; a key that is missing, unexpected or of another shape raises an error that lists all such keys.
--- Tensors that a class names in `optional_state` may be missing.
---@param state table<string, Tensor>
---@param options? {strict?: boolean, assign?: boolean} with strict = false, missing and unexpected keys are left out; with assign, tensors of the module's dtype and device are not copied: the module computes with them (quick after `lx.load`, as long as nobody writes into the file)
---@return {missing: string[], unexpected: string[]} left_out
function Module:load_state_dict(state, options) end

--- Itself and all modules inside.
---@return Module[]
function Module:modules() end

--- `for name, buffer in net:named_buffers() do`
---@return fun(): string, Tensor
function Module:named_buffers() end

--- `for name, child in net:named_children() do`
---@return fun(): string, Module
function Module:named_children() end

--- `for name, module in net:named_modules() do`: itself (with the name "") and all inside, parents first.
---@return fun(): string, Module
function Module:named_modules() end

--- `for name, parameter in net:named_parameters() do`: own ones first, then the children's, by PyTorch's names.
---@return fun(): string, Tensor
function Module:named_parameters() end

--- The parameters as a list, a shared one once.
---@return Tensor[]
function Module:parameters() end

--- Adds a tensor that is saved and moved with the module but not trained.
---@param name string
---@param tensor Tensor
function Module:register_buffer(name, tensor) end

--- Calls `hook(module, arguments, results)` after every forward; returns a function that removes it. What a hook puts
--- into the list `results` is what the module gives instead. A function that `lx.compile` replays runs no forward, and
--- no hooks.
---@param hook fun(module: Module, arguments: table, results: table)
---@return fun() remove
function Module:register_forward_hook(hook) end

--- Lets every parameter require a gradient or not.
---@param flag? boolean? default true
---@return Module self
function Module:requires_grad_(flag) end

--- All parameters and buffers by name. The tensors share memory with the module: clone them to keep a moment.
---@return table<string, Tensor> state
function Module:state_dict() end

--- The keys of `state_dict` in PyTorch's order.
---@return string[]
function Module:state_names() end

--- Moves parameters, their gradients and buffers to a device. They stay the same tensors, so an optimiser that has them
--- goes on with them; what `state_dict` gave out before stays where it was.
---@param device string
---@return Module self
function Module:to(device) end

--- Switches training behaviour (dropout, batch statistics) on, or off with `train(false)`.
---@param mode? boolean? default true
---@return Module self
function Module:train(mode) end

--- Lets what the patterns fit learn again: the opposite of `freeze`.
---@param patterns string|string[]
---@param options? {what?: "all"|"parameters"|"statistics"} what: default "all"
---@return Module self
function Module:unfreeze(patterns, options) end

--- Forgets the gradients of all parameters.
function Module:zero_grad() end

---@class Network: Module
---@field smallest integer the least height and width of images in pixels
---@field channels integer of the images
---@field outputs integer|false false without a head
---@field map_channels integer[] how many channels each of `feature_maps` has
---@field finest integer 1 where the first of them has the resolution of the images, else 2
local Network = {}

--- Raises unless the network takes these images.
---@param x? any
function Network:check_images(x) end

--- The channels of its images, for `print`.
---@return string
function Network:extra() end

--- The maps from the finest to the coarsest, the last at the end of a stage of one resolution each; the last one is
--- that of `features`. Their numbers of channels are `map_channels`.
---@param x? Tensor [N,channels,H,W]
---@return Tensor[] maps
function Network:feature_maps(x) end

--- What comes before the head: the last map, which pooling and linear layers turn into logits.
---@param x? Tensor [N,channels,H,W]
---@return Tensor maps [N,C,H',W']
function Network:features(x) end

--- The head over the last map.
---@param x? Tensor [N,channels,H,W]
---@return Tensor logits
function Network:forward(x) end

--- Logits from the last map. A class says how.
---@param maps? Tensor [N,C,H',W']
---@return Tensor
function Network:head(maps) end

--- Some of the maps. What is between them is computed, and freed, as one chain.
---@param x? Tensor [N,channels,H,W]
---@param places integer[] which of `feature_maps`, in order
---@return Tensor[] maps
function Network:maps_at(x, places) end

--- The modules of each stage, at whose end there is a map. A class says them.
---@return Module[][]
function Network:stages() end

---@class Optimizer
---@field groups table[] `{params = Tensor[], lr =, ...}`: schedulers change `lr` here
local Optimizer = {}

--- Takes over what `state_dict` returned (the tensors are copied). Raises if it does not fit; nothing changes then.
---@param dict table
function Optimizer:load_state_dict(dict) end

--- Everything that training needs to go on exactly: `tensors` by name such as "3.exp_avg" (parameter number and what
--- it is), `steps` by parameter number, and the options of the `groups`. All but `tensors` is plain numbers, strings
--- and booleans. The tensors share memory with the optimiser.
---@return {kind: string, steps: integer[], groups: table[], tensors: table<string, Tensor>}
function Optimizer:state_dict() end

--- Changes every parameter that has a gradient.
function Optimizer:step() end

--- Forgets the gradients.
function Optimizer:zero_grad() end

---@class luxel.Pipeline
---@field steps table[] as they were given
---@field size integer|integer[]|nil side, or {height, width}, of what comes out
local Pipeline = {}

--- The numbers that a passage draws, in words.
---@param options? {seed?: integer, epoch?: integer, index?: integer}
---@return string
function Pipeline:describe(options) end

--- Draws a contact sheet: the image, and what the pipeline makes of it in n passages, with what each of them drew.
---@param image luxel.Tensor [1,H,W] or [3,H,W]
---@param path string PNG
---@param options? {n?: integer, seed?: integer, side?: integer} 15 passages, seed 1, thumbnails of 192 pixels
---@return boolean? ok, string? message, string? code
function Pipeline:preview(image, path, options) end

---@class luxel.Predictor
---@field net Module
---@field metadata table what the file says of the model, as `lx.checkpoint.load` gives it: model, size, classes, normalisation, threshold, calibration, metrics, version and more
---@field path string of several models all paths, separated by " + "
---@field members luxel.Predictor[]? the models whose probabilities are averaged; it has no `net` of its own then
---@field tta boolean|table|nil
---@field device string
---@field size integer side of what the network sees, in pixels
---@field task "binary"|"classes"|"labels"|"segmentation"|"detection"
---@field classes string[]
---@field positive string? of two classes the one whose probability it gives
---@field threshold number|number[]|nil
local Predictor = {}

--- The answers to several films, which go through the network together. One that cannot be read or answered does not
--- hold up the others.
---@param sources (string|{bytes: string, name: string?})[] paths, or bytes of files
---@param options? {quality?: boolean, images?: boolean, age?: number} quality: look for what speaks against reading a picture (`findings`), default true; images: keep the pictures in their own size as `image`, uint8 [1,H,W]; age: of the patients in years, default what a DICOM file says
---@return (luxel.Answer|{path: string, message: string, code: string})[] answers in order; with a message and a code ("io", "format", "result", "device", "memory") instead of a label where there is none
function Predictor:all(sources, options) end

--- The answer for the probabilities of an image.
---@param probabilities number|number[]|Tensor|luxel.FoundBox[] one element of what `probabilities` gives; a map may be of another size, and the mask is of it; of a detection one element of what `detections` gives
---@return luxel.Answer
function Predictor:answer(probabilities) end

--- The boxes that the model finds in every image of a dataset, in pixels of its file, or of the image in memory.
---@param dataset luxel.Dataset
---@param options? {threshold?: number} from which score on, default the model's threshold
---@return luxel.FoundBox[][]? boxes of each image, the best first; nil, message, code as of `probabilities`
---@return string? message, string? code
function Predictor:detections(dataset, options) end

--- What the network sees of a film: cropped and enhanced where the model was trained so, shrunk, and normalised.
---@param source Tensor|string|{bytes: string, name?: string} a path, the bytes of a file, or a picture uint8 [1,H,W]
---@return Tensor? x float32 [1,1,S,S] on the device of the model
---@return luxel.Region|string|nil region the part of the picture that it is, nil for all of it; or the message
---@return string? code "io" or "format" where the film cannot be read
function Predictor:input(source) end

--- The same with how much to doubt each answer, of a model of two classes or of labels whose file keeps what that
--- takes.
---@param dataset luxel.Dataset
---@return number[]? probabilities
---@return {uncertain: boolean, reasons: table[], doubt: number}[]|string judgements as of answers, without the quality of the pictures; or the message
---@return string? code as of `probabilities`, "model" where the file keeps nothing to doubt by
function Predictor:judge(dataset) end

--- What the network gives for every image of a dataset before calibration: a logit, a row of them, or a map.
---@param dataset luxel.Dataset
---@return number[]|number[][]|Tensor[]|nil logits
---@return number[]|string|nil unfamiliar how many times as far from those of the training each image is as the usual one, where the model's file tells; or the message
---@return string? code as of `probabilities`, "model" of an ensemble, which has probabilities alone
function Predictor:logits(dataset) end

--- How well the masks that the model finds agree with those of a dataset, at the resolution of the latter.
---@param dataset luxel.Dataset with masks
---@param options? {progress?: function}
---@return ({dice: number, iou: number}|false)[]? overlaps of each image, false where it has no mask
---@return string? message, string? code as of `probabilities`, "io" and "format" where a mask cannot be read
function Predictor:overlaps(dataset, options) end

--- The answer to one film; `predictor(source)` is the same.
---@param source string|{bytes: string, name?: string} a path, or the bytes of a file
---@param options? {quality?: boolean, images?: boolean, age?: number} as for `all`
---@return luxel.Answer? answer, string? message, string? code as of `all`
function Predictor:predict(source, options) end

--- The calibrated probability of the positive class for every image of a dataset, or the probabilities of all classes
--- or labels; of a segmentation a map of them, float32 [1,S,S] of the network's size.
---@param dataset luxel.Dataset
---@return number[]|number[][]|Tensor[]|nil probabilities, string? message, string? code "result" where the network gives one that is no number, "device" or "memory" where the device fails
function Predictor:probabilities(dataset) end

---@class luxel.Profile
---@field rows luxel.ProfileRow[] the longest first
---@field seconds number that the devices computed or copied
---@field wall number seconds that passed, until the devices had done everything
---@field waits integer times that Lua waited for a device
---@field devices {label: string, name: string, seconds: number, waits: integer}[]
---@field results table what the function returned, and how many as `n`
---@field package records table<string, table[]> every launch, by device
---@field package notes string[] what the table does not show
local Profile = {}

--- Writes every launch with its time, for chrome://tracing or ui.perfetto.dev.
---@param path string
---@return boolean? ok, string? message, string? code
function Profile:save_trace(path) end

---@class luxel.ProfileSession
local ProfileSession = {}

--- Ends the watching and forgets what the devices did.
function ProfileSession:abandon() end

--- Ends the watching and says what the devices did since its start.
---@return luxel.Profile
function ProfileSession:stop() end

---@class luxel.ReportSearch
---@field reports integer how many there are
---@field terms integer how many different terms
---@operator call(string): luxel.SearchHits
local ReportSearch = {}

--- The reports that fit a query best, by the sum over its terms of
---     log(1 + (N - n + 0.5) / (n + 0.5)) · f / (f + k1 (1 - b + b L / mean L)),
--- where n of N reports have the term, and this one f times among L terms. It is formula 3.15 of Robertson and Zaragoza
--- with 1 added under the logarithm, so that a term that most reports have does not count against them.
---@param text string as in a report: "bibasilar opacities, no effusion"
---@param options? {limit?: integer} limit: hits at most, default 10
---@return luxel.SearchHits
function ReportSearch:query(text, options) end

---@class Scheduler
---@field optimizer Optimizer
---@field unit "step"|"epoch"|"metric" when a step is due: after the optimiser's step, an epoch, or the validation that gives the metric; `lx.train.fit` does so
---@field last_step integer how often `step` was called
local Scheduler = {}

--- The learning rates now, one for each group.
---@return number[]
function Scheduler:get_last_lr() end

--- Takes over what `state_dict` returned. Raises if it does not fit.
---@param state table from `state_dict`
function Scheduler:load_state_dict(state) end

--- Plain numbers from which `load_state_dict` goes on.
---@return table
function Scheduler:state_dict() end

--- Goes on by one step. The metric is for ReduceLROnPlateau; others go on alike with any.
---@param metric? number?
function Scheduler:step(metric) end

---@class luxel.Styles
---@field k integer
---@field cluster integer[] of each image, 1 the largest
---@field counts integer[] images of each cluster
---@field classes string[] the names of the classes or labels
---@field by_class integer[][] for each cluster, how many of its images are of each class
---@field means Tensor float32 [k,D] the middle of each cluster, in standardised features
---@field distances number[] of each image from the middle of its cluster, in deviations
---@field spread number the mean squared distance of an image from its middle, 1 without clusters
local Styles = {}

--- The cluster of other images, such as those of a new hospital: the one whose middle is the nearest.
---@param images Dataset|Frame
---@return integer[]? clusters 1..k of each image
---@return number[]|string distances from that middle, in deviations: those far above `spread`^0.5 look like none of the clusters; or why a file of a frame cannot be read
---@return string? code
function Styles:assign(images) end

--- The clusters dealt into parts, each with clusters of few and of many of the second class, for training without a
--- part at a time.
---@param n integer at most k
---@return integer[] parts 1..n of each image
function Styles:parts(n) end

---@class Tensor: userdata
---@field shape integer[] sizes, one a dimension
---@field ndim integer
---@field dtype "float32"|"uint8"|"int32"
---@field device string
---@field requires_grad boolean whether operations on it are recorded for backward
---@field grad Tensor? the gradient that backward has added up, for a leaf
---@operator add(Tensor|number): Tensor
---@operator sub(Tensor|number): Tensor
---@operator mul(Tensor|number): Tensor
---@operator div(Tensor|number): Tensor
---@operator pow(Tensor|number): Tensor
---@operator unm: Tensor
local Tensor = {}

--- |x|; `abs_` in place
---@return Tensor
function Tensor:abs() end

--- |x|, in place
---@return Tensor
function Tensor:abs_() end

--- t + other, broadcast; `add_` in place
---@param other Tensor|number
---@return Tensor
function Tensor:add(other) end

--- t + alpha * other, in place.
---@param other Tensor|number broadcast to the shape of t
---@param alpha? number? 1
---@return Tensor t
function Tensor:add_(other, alpha) end

--- uint8, 1 where no element is 0
---@param dim? integer|(integer)[]|{dim?: integer|(integer)[], keepdim?: boolean}
---@param keepdim? boolean
---@return Tensor
function Tensor:all(dim, keepdim) end

--- uint8, 1 where some element is not 0
---@param dim? integer|(integer)[]|{dim?: integer|(integer)[], keepdim?: boolean}
---@param keepdim? boolean
---@return Tensor
function Tensor:any(dim, keepdim) end

--- int32, from 1; the first where equal
---@param dim? integer|{dim?: integer, keepdim?: boolean}
---@param keepdim? boolean
---@return Tensor
function Tensor:argmax(dim, keepdim) end

--- int32, from 1; the first where equal
---@param dim? integer|{dim?: integer, keepdim?: boolean}
---@param keepdim? boolean
---@return Tensor
function Tensor:argmin(dim, keepdim) end

--- Adds the gradient of t to the `.grad` of every leaf it was computed from.
---@param grad? Tensor? of t's shape; may be left out for one element
---@param options? {retain_graph?: boolean}
function Tensor:backward(grad, options) end

--- the same as matmul
---@param b Tensor
---@return Tensor
function Tensor:bmm(b) end

--- As bytes: `t:to("uint8")`.
---@return Tensor
function Tensor:byte() end

--- The distances between the rows of two matrices, in the p-norm. Its gradient is 0 at distance 0.
---@param b Tensor [...,n,k]
---@param p? number? default 2
---@return Tensor [...,m,n]
function Tensor:cdist(b, p) end

--- rounded up; `ceil_` in place
---@return Tensor
function Tensor:ceil() end

--- rounded up, in place
---@return Tensor
function Tensor:ceil_() end

--- Cut into `count` pieces along a dimension (the last may be smaller; there may be fewer).
---@param count integer
---@param dim? integer? default 1
---@return Tensor[] views
function Tensor:chunk(count, dim) end

--- Limits every element to [low, high]; either may be nil.
---@param low? number?
---@param high? number?
---@return Tensor
function Tensor:clamp(low, high) end

--- Limits every element to [low, high], in place; either may be nil.
---@param low? number?
---@param high? number?
---@return Tensor t
function Tensor:clamp_(low, high) end

--- A copy in memory of its own.
---@return Tensor
function Tensor:clone() end

--- The elements in row-major order without gaps: t itself where it is so already.
---@return Tensor
function Tensor:contiguous() end

--- Overwrites t with `source`, converted to its dtype and broadcast to its shape.
---@param source Tensor
---@return Tensor t
function Tensor:copy_(source) end

--- of radians; `cos_` in place
---@return Tensor
function Tensor:cos() end

--- of radians, in place
---@return Tensor
function Tensor:cos_() end

--- Running sums along a dimension.
---@param dim integer
---@return Tensor
function Tensor:cumsum(dim) end

--- Another tensor on the same memory, cut off from the recorded history.
---@return Tensor a view
function Tensor:detach() end

--- t / other, broadcast; `div_` in place
---@param other Tensor|number
---@return Tensor
function Tensor:div(other) end

--- t / other, broadcast, in place
---@param other Tensor|number
---@return Tensor
function Tensor:div_(other) end

--- uint8, 1 where t == other
---@param other Tensor|number
---@return Tensor
function Tensor:eq(other) end

--- error function; `erf_` in place
---@return Tensor
function Tensor:erf() end

--- error function, in place
---@return Tensor
function Tensor:erf_() end

--- e^x; `exp_` in place
---@return Tensor
function Tensor:exp() end

--- e^x, in place
---@return Tensor
function Tensor:exp_() end

--- Dimensions of size 1 repeated without a copy; -1 keeps a size.
---@param ... integer|integer[] sizes
---@return Tensor a view
function Tensor:expand(...) end

--- Dimensions of size 1 repeated without a copy, to the shape of another tensor.
---@param other Tensor
---@return Tensor a view
function Tensor:expand_as(other) end

--- e^x - 1, exact near 0; `expm1_` in place
---@return Tensor
function Tensor:expm1() end

--- e^x - 1, exact near 0, in place
---@return Tensor
function Tensor:expm1_() end

--- Sets every element.
---@param value number|Tensor a tensor without dimensions
---@return Tensor t
function Tensor:fill_(value) end

--- Joins the dimensions from `first` to `last` (default: all) into one.
---@param first? integer? 1
---@param last? integer? -1
---@return Tensor a view where the strides allow it, else a copy
function Tensor:flatten(first, last) end

--- Turned round along dimensions: the last element first.
---@param dim integer|integer[]
---@return Tensor
function Tensor:flip(dim) end

--- As float32: `t:to("float32")`.
---@return Tensor
function Tensor:float() end

--- rounded down; `floor_` in place
---@return Tensor
function Tensor:floor() end

--- rounded down, in place
---@return Tensor
function Tensor:floor_() end

--- t / other rounded down, as Lua's //. It has no gradient.
---@param other Tensor|number
---@return Tensor
function Tensor:floor_divide(other) end

--- Gives the memory back now. Using the tensor afterwards is an error.
function Tensor:free() end

--- out[i][j] = t[i][index[i][j]] for the dimension 2, and so on: torch.gather.
---@param dim integer
---@param index Tensor int32, from 1, of t's shape but for the size of `dim`
---@return Tensor of the shape of index
function Tensor:gather(dim, index) end

--- uint8, 1 where t >= other
---@param other Tensor|number
---@return Tensor
function Tensor:ge(other) end

--- uint8, 1 where t > other
---@param other Tensor|number
---@return Tensor
function Tensor:gt(other) end

--- min(max(0, x + 3), 6) / 6 (Howard et al. 2019); `hardsigmoid_` in place
---@return Tensor
function Tensor:hardsigmoid() end

--- min(max(0, x + 3), 6) / 6 (Howard et al. 2019), in place
---@return Tensor
function Tensor:hardsigmoid_() end

--- x min(max(0, x + 3), 6) / 6 (Howard et al. 2019); `hardswish_` in place
---@return Tensor
function Tensor:hardswish() end

--- x min(max(0, x + 3), 6) / 6 (Howard et al. 2019), in place
---@return Tensor
function Tensor:hardswish_() end

--- The positions `index` of a dimension, in that order. One out of range raises on the cpu; on other devices, which
--- compute while Lua goes on, it gives NaN (0 of integers). So with `gather`.
---@param dim integer
---@param index Tensor int32 [n], from 1
---@return Tensor
function Tensor:index_select(dim, index) end

--- As integers: `t:to("int32")`.
---@return Tensor
function Tensor:int() end

--- Whether the elements lie in row-major order without gaps.
---@return boolean
function Tensor:is_contiguous() end

--- Whether no recorded operation made the tensor: backward leaves a gradient only with leaves.
---@return boolean
function Tensor:is_leaf() end

--- 1 where an element is not a number.
---@return Tensor uint8
function Tensor:isnan() end

--- The only element, as a number.
---@return number
function Tensor:item() end

--- uint8, 1 where t <= other
---@param other Tensor|number
---@return Tensor
function Tensor:le(other) end

--- x where positive, x / 10 elsewhere, darknet's leaky ReLU; `leaky_` in place
---@return Tensor
function Tensor:leaky() end

--- x where positive, x / 10 elsewhere, darknet's leaky ReLU, in place
---@return Tensor
function Tensor:leaky_() end

--- natural logarithm; `log_` in place
---@return Tensor
function Tensor:log() end

--- log(1 + x), exact near 0; `log1p_` in place
---@return Tensor
function Tensor:log1p() end

--- log(1 + x), exact near 0, in place
---@return Tensor
function Tensor:log1p_() end

--- natural logarithm, in place
---@return Tensor
function Tensor:log_() end

--- uint8, 1 where t < other
---@param other Tensor|number
---@return Tensor
function Tensor:lt(other) end

--- The value where the mask holds, t elsewhere.
---@param mask Tensor broadcast; what is not 0 holds
---@param value Tensor|number
---@return Tensor
function Tensor:masked_fill(mask, value) end

--- The elements where the mask holds, in row-major order; t and mask are broadcast. Waits for the device.
---@param mask Tensor uint8
---@return Tensor [n]
function Tensor:masked_select(mask) end

--- [...,M,K] × [...,K,N]; vectors and broadcast batches as in PyTorch
---@param b Tensor
---@return Tensor
function Tensor:matmul(b) end

--- Tensor? values; positions for one dim
---@param dim? integer|(integer)[]|{dim?: integer|(integer)[], keepdim?: boolean}
---@param keepdim? boolean
---@return Tensor,
function Tensor:max(dim, keepdim) end

--- the larger, broadcast; `maximum_` in place
---@param other Tensor|number
---@return Tensor
function Tensor:maximum(other) end

--- the larger, broadcast, in place
---@param other Tensor|number
---@return Tensor
function Tensor:maximum_(other) end

--- The mean of all elements, or over dimensions.
---@param dim? integer|(integer)[]|{dim?: integer|(integer)[], keepdim?: boolean}
---@param keepdim? boolean?
---@return Tensor
function Tensor:mean(dim, keepdim) end

--- The median: of an even number the lower one of the two in the middle; NaN where one is among them. With a dimension
--- also its positions.
---@param dim? integer|{dim?: integer, keepdim?: boolean} default: of all elements
---@param keepdim? boolean?
---@return Tensor values, Tensor? indices int32, from 1
function Tensor:median(dim, keepdim) end

--- Tensor? values; positions for one dim
---@param dim? integer|(integer)[]|{dim?: integer|(integer)[], keepdim?: boolean}
---@param keepdim? boolean
---@return Tensor,
function Tensor:min(dim, keepdim) end

--- the smaller, broadcast; `minimum_` in place
---@param other Tensor|number
---@return Tensor
function Tensor:minimum(other) end

--- the smaller, broadcast, in place
---@param other Tensor|number
---@return Tensor
function Tensor:minimum_(other) end

--- the same as matmul
---@param b Tensor
---@return Tensor
function Tensor:mm(b) end

--- t * other, broadcast; `mul_` in place
---@param other Tensor|number
---@return Tensor
function Tensor:mul(other) end

--- t * other, broadcast, in place
---@param other Tensor|number
---@return Tensor
function Tensor:mul_(other) end

--- `length` elements of a dimension, from `start` (from 1) on.
---@param dim integer
---@param start integer
---@param length integer
---@return Tensor a view
function Tensor:narrow(dim, start, length) end

--- uint8, 1 where t ~= other
---@param other Tensor|number
---@return Tensor
function Tensor:ne(other) end

--- -x; `neg_` in place
---@return Tensor
function Tensor:neg() end

--- -x, in place
---@return Tensor
function Tensor:neg_() end

--- The places of the elements that are not 0, in row-major order. Waits for the device.
---@return Tensor int32 [n,ndim], from 1
function Tensor:nonzero() end

--- The p-norm (default 2; math.huge for the largest magnitude, 0 for how many are not 0). Its gradient is 0 at 0.
---@param p? number?
---@param dim? integer|(integer)[]|{dim?: integer|(integer)[], keepdim?: boolean}
---@param keepdim? boolean?
---@return Tensor
function Tensor:norm(p, dim, keepdim) end

--- The number of elements.
---@return integer
function Tensor:numel() end

--- 1 at the position that an element names, in a new last dimension, else 0. Waits for the device.
---@param classes? integer? default: the largest element
---@return Tensor uint8 [...,classes]
function Tensor:one_hot(classes) end

--- All products of an element of one vector with one of another.
---@param b Tensor [n]
---@return Tensor [m,n]
function Tensor:outer(b) end

--- The dimensions in another order.
---@param ... integer|integer[] every dimension once
---@return Tensor a view
function Tensor:permute(...) end

--- t ^ other, broadcast; `pow_` in place
---@param other Tensor|number
---@return Tensor
function Tensor:pow(other) end

--- t ^ other, broadcast, in place
---@param other Tensor|number
---@return Tensor
function Tensor:pow_(other) end

--- The product of all elements, or over dimensions.
---@param dim? integer|(integer)[]|{dim?: integer|(integer)[], keepdim?: boolean}
---@param keepdim? boolean?
---@return Tensor
function Tensor:prod(dim, keepdim) end

--- Quantiles: the values below which a share `q` of the elements lies. NaN where one is among the elements.
---@param q number|number[] from 0 to 1; a list adds a first dimension to the result
---@param dim? integer|{dim?: integer, keepdim?: boolean} default: of all elements
---@param keepdim? boolean?
---@param interpolation? "linear"|"lower"|"higher"|"nearest"|"midpoint"|nil between two elements; default "linear"
---@return Tensor
function Tensor:quantile(q, dim, keepdim, interpolation) end

--- 1/x; `reciprocal_` in place
---@return Tensor
function Tensor:reciprocal() end

--- 1/x, in place
---@return Tensor
function Tensor:reciprocal_() end

--- max(0, x); `relu_` in place
---@return Tensor
function Tensor:relu() end

--- min(max(0, x), 6) (Krizhevsky 2010); `relu6_` in place
---@return Tensor
function Tensor:relu6() end

--- min(max(0, x), 6) (Krizhevsky 2010), in place
---@return Tensor
function Tensor:relu6_() end

--- max(0, x), in place
---@return Tensor
function Tensor:relu_() end

--- t - other floor(t / other), as Lua's %, broadcast
---@param other Tensor|number
---@return Tensor
function Tensor:remainder(other) end

--- Each element of a dimension repeated, one copy after the other.
---@param count integer
---@param dim? integer? default: of all elements as one row
---@return Tensor
function Tensor:repeat_interleave(count, dim) end

--- Lets operations on a leaf be recorded for backward, or not.
---@param flag? boolean? default true
---@return Tensor t
function Tensor:requires_grad_(flag) end

--- Another shape: a view where the strides allow it, else of a copy.
---@param ... integer|integer[] sizes, one may be -1
---@return Tensor
function Tensor:reshape(...) end

--- Shifted along dimensions; what leaves at the end comes in at the start.
---@param shift integer|integer[] one for each dimension; negative shifts to the start
---@param dim? integer|integer[]|nil default: all elements as one row
---@return Tensor
function Tensor:roll(shift, dim) end

--- to the nearest whole number, halves to even; `round_` in place
---@return Tensor
function Tensor:round() end

--- to the nearest whole number, halves to even, in place
---@return Tensor
function Tensor:round_() end

--- 1/√x; `rsqrt_` in place
---@return Tensor
function Tensor:rsqrt() end

--- 1/√x, in place
---@return Tensor
function Tensor:rsqrt_() end

--- t with the elements of `source` at the positions `index` of a dimension: the reverse of `gather`. The last one where
--- a position is named twice.
---@param dim integer
---@param index Tensor int32, from 1, of t's shape but for the size of `dim`
---@param source Tensor|number of the shape of index
---@return Tensor float32
function Tensor:scatter(dim, index, source) end

--- t with the elements of `source` added at the positions `index` of a dimension.
---@param dim integer
---@param index Tensor int32, from 1, of t's shape but for the size of `dim`
---@param source Tensor|number of the shape of index
---@return Tensor float32
function Tensor:scatter_add(dim, index, source) end

--- One position of a dimension, which goes away.
---@param dim integer
---@param index integer from 1, or from the end if negative
---@return Tensor a view
function Tensor:select(dim, index) end

--- 1/(1 + e^-x); `sigmoid_` in place
---@return Tensor
function Tensor:sigmoid() end

--- 1/(1 + e^-x), in place
---@return Tensor
function Tensor:sigmoid_() end

--- -1, 0 or 1; `sign_` in place
---@return Tensor
function Tensor:sign() end

--- -1, 0 or 1, in place
---@return Tensor
function Tensor:sign_() end

--- x / (1 + e^-x) (Elfwing et al. 2018); `silu_` in place
---@return Tensor
function Tensor:silu() end

--- x / (1 + e^-x) (Elfwing et al. 2018), in place
---@return Tensor
function Tensor:silu_() end

--- of radians; `sin_` in place
---@return Tensor
function Tensor:sin() end

--- of radians, in place
---@return Tensor
function Tensor:sin_() end

--- The size of dimension `dim`, or all sizes.
---@param dim? integer?
---@return integer|integer[]
function Tensor:size(dim) end

--- Sorted along a dimension (default: the last). Stable; NaN comes last, or first where it descends.
---@param dim? integer?
---@param descending? boolean?
---@return Tensor values, Tensor indices int32, from 1
function Tensor:sort(dim, descending) end

--- Cut along a dimension into pieces of a size (the last may be smaller), or of the sizes of a list, which add up
--- to it.
---@param size integer|integer[]
---@param dim? integer? default 1
---@return Tensor[] views
function Tensor:split(size, dim) end

--- √x; `sqrt_` in place
---@return Tensor
function Tensor:sqrt() end

--- √x, in place
---@return Tensor
function Tensor:sqrt_() end

--- x²; `square_` in place
---@return Tensor
function Tensor:square() end

--- x², in place
---@return Tensor
function Tensor:square_() end

--- Removes a dimension of size 1, or all of them.
---@param dim? integer? of size 1
---@return Tensor a view
function Tensor:squeeze(dim) end

--- The standard deviation: the root of `var`. Its gradient is 0 where it is 0.
---@param dim? integer|(integer)[]|{dim?: integer|(integer)[], keepdim?: boolean}
---@param keepdim? boolean?
---@param unbiased? boolean? default true
---@return Tensor
function Tensor:std(dim, keepdim, unbiased) end

--- t - other, broadcast; `sub_` in place
---@param other Tensor|number
---@return Tensor
function Tensor:sub(other) end

--- t - other, broadcast, in place
---@param other Tensor|number
---@return Tensor
function Tensor:sub_(other) end

--- The sum of all elements, or over dimensions.
---@param dim? integer|(integer)[]|{dim?: integer|(integer)[], keepdim?: boolean}
---@param keepdim? boolean? keeps them with size 1
---@return Tensor
function Tensor:sum(dim, keepdim) end

--- The transpose of a matrix.
---@return Tensor [N,M], a view
function Tensor:t() end

--- hyperbolic tangent; `tanh_` in place
---@return Tensor
function Tensor:tanh() end

--- hyperbolic tangent, in place
---@return Tensor
function Tensor:tanh_() end

--- Repeated as a whole: `tile(2, 3)` has twice the rows and three times the columns. (`repeat` is a word of Lua.)
---@param ... integer|integer[] how often along each dimension; more of them than dimensions add dimensions in front
---@return Tensor
function Tensor:tile(...) end

--- Another dtype or device: t:to("uint8"), t:to("cpu"). The same tensor if nothing changes. Floats become integers by
--- rounding towards zero; what is too large or too small becomes the greatest or least integer, and NaN 0. Integers
--- from 2^24 on become the nearest float.
---@param target string a dtype (float32, uint8, int32) or a device
---@return Tensor
function Tensor:to(target) end

--- The k largest (or smallest) along a dimension (default: the last), in order.
---@param k integer
---@param dim? integer?
---@param largest? boolean? default true
---@return Tensor values, Tensor indices int32, from 1
function Tensor:topk(k, dim, largest) end

--- The elements as raw bytes: little-endian, row-major.
---@return string
function Tensor:tostring_bytes() end

--- Nested Lua tables of the elements.
---@return table|number
function Tensor:totable() end

--- Swaps two dimensions.
---@param a integer
---@param b integer
---@return Tensor a view
function Tensor:transpose(a, b) end

--- The lower triangle of the last two dimensions, up to a diagonal (0: the main one, above it positive); 0 elsewhere.
---@param diagonal? integer?
---@return Tensor float32
function Tensor:tril(diagonal) end

--- The upper triangle of the last two dimensions, from a diagonal on; 0 elsewhere.
---@param diagonal? integer?
---@return Tensor float32
function Tensor:triu(diagonal) end

--- The different values, in order. Waits for the device.
---@return Tensor [n] of t's dtype
function Tensor:unique() end

--- A new dimension of size 1 at `dim`.
---@param dim integer
---@return Tensor a view
function Tensor:unsqueeze(dim) end

--- The variance over `dim` (default: all); divided by n - 1 unless `unbiased` is false.
---@param dim? integer|(integer)[]|{dim?: integer|(integer)[], keepdim?: boolean}
---@param keepdim? boolean?
---@param unbiased? boolean? default true
---@return Tensor
function Tensor:var(dim, keepdim, unbiased) end

--- The same memory in another shape. One size may be -1. Raises if the strides do not allow it.
---@param ... integer|integer[] sizes
---@return Tensor
function Tensor:view(...) end

--- The same memory in the shape of another tensor. Raises if the strides do not allow it.
---@param other Tensor of as many elements
---@return Tensor a view
function Tensor:view_as(other) end

--- Sets every element to 0.
---@return Tensor t
function Tensor:zero_() end

---@class luxel.Tokenizer
---@field size integer how many tokens there are, which `nn.Embedding` needs
---@field pad integer the token behind the end of shorter texts
---@field start integer the token before a text
---@field stop integer the token behind it
---@field mask integer a token that stands for one that is hidden
local Tokenizer = {}

--- Texts as a batch for a network: each between `start` and `stop`, with `pad` behind those that are shorter.
---@param texts string[]
---@param options? {length?: integer, device?: string} length: tokens of each row, with start and stop; what is longer is cut, before `stop`; default that of the longest text
---@return Tensor tokens int32 [N,L]
---@return integer[] lengths how many tokens of each row are no padding, as `nn.GRU` takes them
---@return integer cut how many texts were too long
function Tokenizer:batch(texts, options) end

--- The text of tokens; `decode(encode(text))` is the text. Special ones are nothing.
---@param tokens integer[]
---@return string
function Tokenizer:decode(tokens) end

--- The tokens of a text.
---@param text string any bytes
---@return integer[] tokens from 1 to `size`, without special ones
function Tokenizer:encode(text) end

--- Writes the tokenizer to a file (JSON), for `lx.text.load_tokenizer`.
---@param path string
---@return boolean? ok, string? message, string? code "io" where it cannot be written
function Tokenizer:save(path) end

--- |x|; `abs_` in place
---@param t Tensor
---@return Tensor
function lx.abs(t) end

--- |x|, in place
---@param t Tensor
---@return Tensor
function lx.abs_(t) end

--- t + other, broadcast; `add_` in place
---@param t Tensor|number
---@param other Tensor|number
---@return Tensor
function lx.add(t, other) end

--- t + alpha * other, in place.
---@param t Tensor
---@param other Tensor|number broadcast to the shape of t
---@param alpha? number? 1
---@return Tensor t
function lx.add_(t, other, alpha) end

--- uint8, 1 where no element is 0
---@param t Tensor
---@param dim? integer|(integer)[]|{dim?: integer|(integer)[], keepdim?: boolean}
---@param keepdim? boolean
---@return Tensor
function lx.all(t, dim, keepdim) end

--- Whether |a - b| <= atol + rtol |b| everywhere.
---@param a Tensor
---@param b Tensor broadcast
---@param rtol? number? default 1e-5
---@param atol? number? default 1e-8
---@return boolean
function lx.allclose(a, b, rtol, atol) end

--- uint8, 1 where some element is not 0
---@param t Tensor
---@param dim? integer|(integer)[]|{dim?: integer|(integer)[], keepdim?: boolean}
---@param keepdim? boolean
---@return Tensor
function lx.any(t, dim, keepdim) end

--- start, start + step, … up to but without stop: `arange(5)` is 0 1 2 3 4.
---@param start number
---@param stop? number|{dtype?: "float32"|"uint8"|"int32", device?: string, requires_grad?: boolean}
---@param step? number|{dtype?: "float32"|"uint8"|"int32", device?: string, requires_grad?: boolean} not 0
---@param options? {dtype?: "float32"|"uint8"|"int32", device?: string, requires_grad?: boolean}
---@return Tensor [n]
function lx.arange(start, stop, step, options) end

--- int32, from 1; the first where equal
---@param t Tensor
---@param dim? integer|{dim?: integer, keepdim?: boolean}
---@param keepdim? boolean
---@return Tensor
function lx.argmax(t, dim, keepdim) end

--- int32, from 1; the first where equal
---@param t Tensor
---@param dim? integer|{dim?: integer, keepdim?: boolean}
---@param keepdim? boolean
---@return Tensor
function lx.argmin(t, dim, keepdim) end

--- Adds the gradient of t to the `.grad` of every leaf it was computed from.
---@param t Tensor
---@param grad? Tensor? of t's shape; may be left out for one element
---@param options? {retain_graph?: boolean}
function lx.backward(t, grad, options) end

--- the same as matmul
---@param a Tensor
---@param b Tensor
---@return Tensor
function lx.bmm(a, b) end

--- As bytes: `t:to("uint8")`.
---@param t Tensor
---@return Tensor
function lx.byte(t) end

--- Joins tensors along a dimension they have.
---@param parts Tensor[]
---@param dim? integer? default 1
---@return Tensor of the shape of the parts, but for `dim`
function lx.cat(parts, dim) end

--- The distances between the rows of two matrices, in the p-norm. Its gradient is 0 at distance 0.
---@param a Tensor [...,m,k]
---@param b Tensor [...,n,k]
---@param p? number? default 2
---@return Tensor [...,m,n]
function lx.cdist(a, b, p) end

--- rounded up; `ceil_` in place
---@param t Tensor
---@return Tensor
function lx.ceil(t) end

--- rounded up, in place
---@param t Tensor
---@return Tensor
function lx.ceil_(t) end

--- Cut into `count` pieces along a dimension (the last may be smaller; there may be fewer).
---@param t Tensor
---@param count integer
---@param dim? integer? default 1
---@return Tensor[] views
function lx.chunk(t, count, dim) end

--- Limits every element to [low, high]; either may be nil.
---@param t Tensor
---@param low? number?
---@param high? number?
---@return Tensor
function lx.clamp(t, low, high) end

--- Limits every element to [low, high], in place; either may be nil.
---@param t Tensor
---@param low? number?
---@param high? number?
---@return Tensor t
function lx.clamp_(t, low, high) end

--- A copy in memory of its own.
---@param t Tensor
---@return Tensor
function lx.clone(t) end

--- A function that does what `f` does, faster: after a few calls with arguments of the same shapes it no longer calls
--- `f`, but does again what the devices did for it, with the arguments of the call, in one piece of memory. Results are
--- bit for bit those of `f`; gradients, parameters, buffers, optimisers and random numbers go on as they would.
---
--- `f` takes tensors, numbers, strings and booleans, and returns such. A call with other shapes is recorded by itself,
--- up to four times. A function that cannot be replayed, because it reads a value say, is called each time, and a
--- message (see `lx.on_notice`) says why. Results have no history: backward belongs inside.
---@param f fun(...): ...
---@param options? {name?: string} name: for messages; default where f is defined
---@return luxel.Compiled
function lx.compile(f, options) end

--- The elements in row-major order without gaps: t itself where it is so already.
---@param t Tensor
---@return Tensor
function lx.contiguous(t) end

--- Overwrites t with `source`, converted to its dtype and broadcast to its shape.
---@param t Tensor
---@param source Tensor
---@return Tensor t
function lx.copy_(t, source) end

--- of radians; `cos_` in place
---@param t Tensor
---@return Tensor
function lx.cos(t) end

--- of radians, in place
---@param t Tensor
---@return Tensor
function lx.cos_(t) end

--- Running sums along a dimension.
---@param t Tensor
---@param dim integer
---@return Tensor
function lx.cumsum(t, dim) end

--- Another tensor on the same memory, cut off from the recorded history.
---@param t Tensor
---@return Tensor a view
function lx.detach(t) end

--- Opens a device, if it is not open yet, and describes it. "auto" is the best GPU, or `cpu` where there is none (on
--- Linux drivers are not even asked where /dev has no GPU); "opencl" the best OpenCL device, "opencl:2" the second of
--- the list; anything else is a part of a name.
---@param name string
---@return luxel.Device? device nil where there is none
---@return string? message, string? code
function lx.device(name) end

--- All devices that there are, whether in use or not: `cpu` first. `print(lx.devices())` shows them as a table.
---@return luxel.Devices list its `why` says why there are no more
function lx.devices() end

--- t / other, broadcast; `div_` in place
---@param t Tensor|number
---@param other Tensor|number
---@return Tensor
function lx.div(t, other) end

--- t / other, broadcast, in place
---@param t Tensor
---@param other Tensor|number
---@return Tensor
function lx.div_(t, other) end

--- The sum of products that an equation names, in Einstein's convention: letters for dimensions, one group an operand;
--- those that the result does not have are summed away. A letter stands once in a group; there are no ellipses.
---@param equation string as "ij,jk->ik"
---@param ... Tensor
---@return Tensor
function lx.einsum(equation, ...) end

--- A tensor whose contents are not set: whatever the memory held.
---@param ... integer|(integer)[]|{dtype?: "float32"|"uint8"|"int32", device?: string, requires_grad?: boolean} sizes one by one or as one list, then options
---@return Tensor
function lx.empty(...) end

--- Calls `f(...)` with recording on, for use inside `no_grad`.
---@generic T
---@param f fun(...): T
---@param ... any
---@return T
function lx.enable_grad(f, ...) end

--- uint8, 1 where t == other
---@param t Tensor|number
---@param other Tensor|number
---@return Tensor
function lx.eq(t, other) end

--- Whether two tensors have the same shape and elements.
---@param a any false where one is no tensor
---@param b any
---@return boolean
function lx.equal(a, b) end

--- error function; `erf_` in place
---@param t Tensor
---@return Tensor
function lx.erf(t) end

--- error function, in place
---@param t Tensor
---@return Tensor
function lx.erf_(t) end

--- e^x; `exp_` in place
---@param t Tensor
---@return Tensor
function lx.exp(t) end

--- e^x, in place
---@param t Tensor
---@return Tensor
function lx.exp_(t) end

--- Dimensions of size 1 repeated without a copy; -1 keeps a size.
---@param t Tensor
---@param ... integer|integer[] sizes
---@return Tensor a view
function lx.expand(t, ...) end

--- Dimensions of size 1 repeated without a copy, to the shape of another tensor.
---@param t Tensor
---@param other Tensor
---@return Tensor a view
function lx.expand_as(t, other) end

--- e^x - 1, exact near 0; `expm1_` in place
---@param t Tensor
---@return Tensor
function lx.expm1(t) end

--- e^x - 1, exact near 0, in place
---@param t Tensor
---@return Tensor
function lx.expm1_(t) end

--- The n by n identity matrix.
---@param n integer
---@param options? {dtype?: "float32"|"uint8"|"int32", device?: string, requires_grad?: boolean}
---@return Tensor [n,n]
function lx.eye(n, options) end

--- Sets every element.
---@param t Tensor
---@param value number|Tensor a tensor without dimensions
---@return Tensor t
function lx.fill_(t, value) end

--- Joins the dimensions from `first` to `last` (default: all) into one.
---@param t Tensor
---@param first? integer? 1
---@param last? integer? -1
---@return Tensor a view where the strides allow it, else a copy
function lx.flatten(t, first, last) end

--- Turned round along dimensions: the last element first.
---@param t Tensor
---@param dim integer|integer[]
---@return Tensor
function lx.flip(t, dim) end

--- As float32: `t:to("float32")`.
---@param t Tensor
---@return Tensor
function lx.float(t) end

--- rounded down; `floor_` in place
---@param t Tensor
---@return Tensor
function lx.floor(t) end

--- rounded down, in place
---@param t Tensor
---@return Tensor
function lx.floor_(t) end

--- t / other rounded down, as Lua's //. It has no gradient.
---@param t Tensor|number
---@param other Tensor|number
---@return Tensor
function lx.floor_divide(t, other) end

--- Gives the memory back now. Using the tensor afterwards is an error.
---@param t Tensor
function lx.free(t) end

--- A tensor from raw bytes: little-endian, row-major.
---@param bytes string
---@param shape integer[]
---@param dtype? string?
---@param device? string?
---@return Tensor
function lx.from_string(bytes, shape, dtype, device) end

--- A tensor that has the value everywhere.
---@param shape integer[]
---@param value number
---@param options? {dtype?: "float32"|"uint8"|"int32", device?: string, requires_grad?: boolean}
---@return Tensor
function lx.full(shape, value, options) end

--- out[i][j] = t[i][index[i][j]] for the dimension 2, and so on: torch.gather.
---@param t Tensor
---@param dim integer
---@param index Tensor int32, from 1, of t's shape but for the size of `dim`
---@return Tensor of the shape of index
function lx.gather(t, dim, index) end

--- uint8, 1 where t >= other
---@param t Tensor|number
---@param other Tensor|number
---@return Tensor
function lx.ge(t, other) end

--- Whether the gradients of a function are what finite differences say, for each input that requires a gradient. The
--- function is called many times with copies of the inputs, has to compute with these copies, and must give the same
--- each time. An input that no gradient reaches is a disagreement.
---
--- A parameter of a module takes part if the function puts the copy in its place:
---
---     local layer = nn.Linear(3, 2)
---     lx.gradcheck(function(x, weight)
---         layer.weight = nn.Parameter(weight)
---         return layer(x)
---     end, {x, layer.weight})
---@param f fun(...): Tensor, ... one or more results
---@param inputs any[] what f is called with
---@param options? {step?: number, rtol?: number, atol?: number, elements?: integer} the step of the differences (default 1/256, then 1/2048), the tolerances, and how many elements of each input are looked at (default 20)
---@return boolean
---@return string? message the first disagreement
function lx.gradcheck(f, inputs, options) end

--- uint8, 1 where t > other
---@param t Tensor|number
---@param other Tensor|number
---@return Tensor
function lx.gt(t, other) end

--- min(max(0, x + 3), 6) / 6 (Howard et al. 2019); `hardsigmoid_` in place
---@param t Tensor
---@return Tensor
function lx.hardsigmoid(t) end

--- min(max(0, x + 3), 6) / 6 (Howard et al. 2019), in place
---@param t Tensor
---@return Tensor
function lx.hardsigmoid_(t) end

--- x min(max(0, x + 3), 6) / 6 (Howard et al. 2019); `hardswish_` in place
---@param t Tensor
---@return Tensor
function lx.hardswish(t) end

--- x min(max(0, x + 3), 6) / 6 (Howard et al. 2019), in place
---@param t Tensor
---@return Tensor
function lx.hardswish_(t) end

--- The entry of a public function, class or method in the reference, or what a namespace has; print it to read it, or
--- see it at the REPL.
---@param what any a name, such as "Conv2d", "nn.Conv2d", "tensor.sum" or "lx.vision", or the function, class or namespace itself, or a layer
---@return table entry `name`, `signature`, `text`, `arguments`, `returns`
function lx.help(what) end

--- The positions `index` of a dimension, in that order. One out of range raises on the cpu; on other devices, which
--- compute while Lua goes on, it gives NaN (0 of integers). So with `gather`.
---@param t Tensor
---@param dim integer
---@param index Tensor int32 [n], from 1
---@return Tensor
function lx.index_select(t, dim, index) end

--- As integers: `t:to("int32")`.
---@param t Tensor
---@return Tensor
function lx.int(t) end

--- Whether the elements lie in row-major order without gaps.
---@param t Tensor
---@return boolean
function lx.is_contiguous(t) end

--- Whether operations are being recorded.
---@return boolean
function lx.is_grad_enabled() end

--- Whether no recorded operation made the tensor: backward leaves a gradient only with leaves.
---@param t Tensor
---@return boolean
function lx.is_leaf(t) end

--- Whether a value is a tensor.
---@param value? any
---@return boolean
function lx.is_tensor(value) end

--- 1 where an element is not a number.
---@param t Tensor
---@return Tensor uint8
function lx.isnan(t) end

--- The only element, as a number.
---@param t Tensor
---@return number
function lx.item(t) end

--- Takes tensors out of every running tidy, so that they outlive it.
---@param ... Tensor
---@return Tensor ...
function lx.keep(...) end

--- uint8, 1 where t <= other
---@param t Tensor|number
---@param other Tensor|number
---@return Tensor
function lx.le(t, other) end

--- x where positive, x / 10 elsewhere, darknet's leaky ReLU; `leaky_` in place
---@param t Tensor
---@return Tensor
function lx.leaky(t) end

--- x where positive, x / 10 elsewhere, darknet's leaky ReLU, in place
---@param t Tensor
---@return Tensor
function lx.leaky_(t) end

--- n numbers from a to b, both included, evenly spaced.
---@param a number
---@param b number
---@param n integer at least 1
---@param options? {dtype?: "float32"|"uint8"|"int32", device?: string, requires_grad?: boolean}
---@return Tensor [n]
function lx.linspace(a, b, n, options) end

--- Calls `f(argument)`. In a function that is being recorded, `f(later)` is called again before each replay, and what
--- it launches takes its numbers from there: for learning rates, counters and the like.
---@param f fun(argument: any)
---@param argument? any
---@param later? any? in place of a tensor that there is only in the recorded call
function lx.live(f, argument, later) end

--- Reads a safetensors file: tensors by name, and metadata; see `checkpoint.load`.
---@param path string
---@return table<string, Tensor>? tensors, table|string metadata, string? code
function lx.load(path) end

--- natural logarithm; `log_` in place
---@param t Tensor
---@return Tensor
function lx.log(t) end

--- log(1 + x), exact near 0; `log1p_` in place
---@param t Tensor
---@return Tensor
function lx.log1p(t) end

--- log(1 + x), exact near 0, in place
---@param t Tensor
---@return Tensor
function lx.log1p_(t) end

--- natural logarithm, in place
---@param t Tensor
---@return Tensor
function lx.log_(t) end

--- uint8, 1 where t < other
---@param t Tensor|number
---@param other Tensor|number
---@return Tensor
function lx.lt(t, other) end

--- Starts the random numbers again from `seed`.
---@param seed integer
function lx.manual_seed(seed) end

--- The value where the mask holds, t elsewhere.
---@param t Tensor
---@param mask Tensor broadcast; what is not 0 holds
---@param value Tensor|number
---@return Tensor
function lx.masked_fill(t, mask, value) end

--- The elements where the mask holds, in row-major order; t and mask are broadcast. Waits for the device.
---@param t Tensor
---@param mask Tensor uint8
---@return Tensor [n]
function lx.masked_select(t, mask) end

--- How convolutions are computed: "fast" (the default) also by an algorithm that saves multiplications and rounds more,
--- Winograd's minimal filtering (A. Lavin and S. Gray, 2015), with errors of up to about 5e-6 of the largest result;
--- "exact" always as the sum that defines them, with a tenth of that. Both give the same bits in every run.
---@param new? "fast"|"exact"|nil
---@return "fast"|"exact" mode the one in force
function lx.math(new) end

--- [...,M,K] × [...,K,N]; vectors and broadcast batches as in PyTorch
---@param a Tensor
---@param b Tensor
---@return Tensor
function lx.matmul(a, b) end

--- Tensor? values; positions for one dim
---@param t Tensor
---@param dim? integer|(integer)[]|{dim?: integer|(integer)[], keepdim?: boolean}
---@param keepdim? boolean
---@return Tensor,
function lx.max(t, dim, keepdim) end

--- the larger, broadcast; `maximum_` in place
---@param t Tensor|number
---@param other Tensor|number
---@return Tensor
function lx.maximum(t, other) end

--- the larger, broadcast, in place
---@param t Tensor
---@param other Tensor|number
---@return Tensor
function lx.maximum_(t, other) end

--- The mean of all elements, or over dimensions.
---@param t Tensor
---@param dim? integer|(integer)[]|{dim?: integer|(integer)[], keepdim?: boolean}
---@param keepdim? boolean?
---@return Tensor
function lx.mean(t, dim, keepdim) end

--- The median: of an even number the lower one of the two in the middle; NaN where one is among them. With a dimension
--- also its positions.
---@param t Tensor
---@param dim? integer|{dim?: integer, keepdim?: boolean} default: of all elements
---@param keepdim? boolean?
---@return Tensor values, Tensor? indices int32, from 1
function lx.median(t, dim, keepdim) end

--- Bytes in use, kept for reuse, the most ever in use, and how many there may be (nil: what the system has).
---@param device? string? default "cpu"
---@return {live: integer, cached: integer, peak: integer, budget: integer?}
function lx.memory(device) end

--- Lets a device use so many bytes and no more: beyond them, allocating fails with an error that says so.
---@param device string
---@param bytes? integer|nil nil for no limit but the system's
function lx.memory_budget(device, bytes) end

--- Tensor? values; positions for one dim
---@param t Tensor
---@param dim? integer|(integer)[]|{dim?: integer|(integer)[], keepdim?: boolean}
---@param keepdim? boolean
---@return Tensor,
function lx.min(t, dim, keepdim) end

--- the smaller, broadcast; `minimum_` in place
---@param t Tensor|number
---@param other Tensor|number
---@return Tensor
function lx.minimum(t, other) end

--- the smaller, broadcast, in place
---@param t Tensor
---@param other Tensor|number
---@return Tensor
function lx.minimum_(t, other) end

--- the same as matmul
---@param a Tensor
---@param b Tensor
---@return Tensor
function lx.mm(a, b) end

--- t * other, broadcast; `mul_` in place
---@param t Tensor|number
---@param other Tensor|number
---@return Tensor
function lx.mul(t, other) end

--- t * other, broadcast, in place
---@param t Tensor
---@param other Tensor|number
---@return Tensor
function lx.mul_(t, other) end

--- `length` elements of a dimension, from `start` (from 1) on.
---@param t Tensor
---@param dim integer
---@param start integer
---@param length integer
---@return Tensor a view
function lx.narrow(t, dim, start, length) end

--- uint8, 1 where t ~= other
---@param t Tensor|number
---@param other Tensor|number
---@return Tensor
function lx.ne(t, other) end

--- -x; `neg_` in place
---@param t Tensor
---@return Tensor
function lx.neg(t) end

--- -x, in place
---@param t Tensor
---@return Tensor
function lx.neg_(t) end

--- Calls `f(...)` without recording operations, and returns what it returns. The mode is restored on error too. It is a
--- mode of the coroutine that calls, and of those that it resumes meanwhile: while it is suspended inside, others
--- record.
---@generic T
---@param f fun(...): T
---@param ... any
---@return T
function lx.no_grad(f, ...) end

--- The places of the elements that are not 0, in row-major order. Waits for the device.
---@param t Tensor
---@return Tensor int32 [n,ndim], from 1
function lx.nonzero(t) end

--- The p-norm (default 2; math.huge for the largest magnitude, 0 for how many are not 0). Its gradient is 0 at 0.
---@param t Tensor
---@param p? number?
---@param dim? integer|(integer)[]|{dim?: integer|(integer)[], keepdim?: boolean}
---@param keepdim? boolean?
---@return Tensor
function lx.norm(t, p, dim, keepdim) end

--- The number of elements.
---@param t Tensor
---@return integer
function lx.numel(t) end

--- Has `f(text)` called instead; `false` is for silence, nil for the line on standard error again.
---@param f? fun(text: string)|false|nil
function lx.on_notice(f) end

--- 1 at the position that an element names, in a new last dimension, else 0. Waits for the device.
---@param t Tensor int32 or uint8, from 1 to `classes`
---@param classes? integer? default: the largest element
---@return Tensor uint8 [...,classes]
function lx.one_hot(t, classes) end

--- A tensor of ones.
---@param ... integer|(integer)[]|{dtype?: "float32"|"uint8"|"int32", device?: string, requires_grad?: boolean} sizes one by one or as one list, then options
---@return Tensor
function lx.ones(...) end

--- Ones of the shape, dtype and device of t.
---@param t Tensor
---@return Tensor
function lx.ones_like(t) end

--- All products of an element of one vector with one of another.
---@param a Tensor [m]
---@param b Tensor [n]
---@return Tensor [m,n]
function lx.outer(a, b) end

--- The dimensions in another order.
---@param t Tensor
---@param ... integer|integer[] every dimension once
---@return Tensor a view
function lx.permute(t, ...) end

--- t ^ other, broadcast; `pow_` in place
---@param t Tensor|number
---@param other Tensor|number
---@return Tensor
function lx.pow(t, other) end

--- t ^ other, broadcast, in place
---@param t Tensor
---@param other Tensor|number
---@return Tensor
function lx.pow_(t, other) end

--- The product of all elements, or over dimensions.
---@param t Tensor
---@param dim? integer|(integer)[]|{dim?: integer|(integer)[], keepdim?: boolean}
---@param keepdim? boolean?
---@return Tensor
function lx.prod(t, dim, keepdim) end

--- Quantiles: the values below which a share `q` of the elements lies. NaN where one is among the elements.
---@param t Tensor
---@param q number|number[] from 0 to 1; a list adds a first dimension to the result
---@param dim? integer|{dim?: integer, keepdim?: boolean} default: of all elements
---@param keepdim? boolean?
---@param interpolation? "linear"|"lower"|"higher"|"nearest"|"midpoint"|nil between two elements; default "linear"
---@return Tensor
function lx.quantile(t, q, dim, keepdim, interpolation) end

--- Uniform random numbers in [0, 1).
---@param ... integer|(integer)[]|{dtype?: "float32", device?: string, requires_grad?: boolean} sizes one by one or as one list, then options
---@return Tensor
function lx.rand(...) end

--- Random integers from low up to but without high.
---@param low integer
---@param high integer above low
---@param shape integer[]
---@param options? {dtype?: "float32"|"uint8"|"int32", device?: string, requires_grad?: boolean}
---@return Tensor int32 unless options say otherwise
function lx.randint(low, high, shape, options) end

--- Random numbers of the standard normal distribution.
---@param ... integer|(integer)[]|{dtype?: "float32", device?: string, requires_grad?: boolean} sizes one by one or as one list, then options
---@return Tensor
function lx.randn(...) end

--- The numbers 1 to n in random order.
---@param n integer
---@return Tensor int32 [n]
function lx.randperm(n) end

--- 1/x; `reciprocal_` in place
---@param t Tensor
---@return Tensor
function lx.reciprocal(t) end

--- 1/x, in place
---@param t Tensor
---@return Tensor
function lx.reciprocal_(t) end

--- max(0, x); `relu_` in place
---@param t Tensor
---@return Tensor
function lx.relu(t) end

--- min(max(0, x), 6) (Krizhevsky 2010); `relu6_` in place
---@param t Tensor
---@return Tensor
function lx.relu6(t) end

--- min(max(0, x), 6) (Krizhevsky 2010), in place
---@param t Tensor
---@return Tensor
function lx.relu6_(t) end

--- max(0, x), in place
---@param t Tensor
---@return Tensor
function lx.relu_(t) end

--- t - other floor(t / other), as Lua's %, broadcast
---@param t Tensor|number
---@param other Tensor|number
---@return Tensor
function lx.remainder(t, other) end

--- Each element of a dimension repeated, one copy after the other.
---@param t Tensor
---@param count integer
---@param dim? integer? default: of all elements as one row
---@return Tensor
function lx.repeat_interleave(t, count, dim) end

--- Lets operations on a leaf be recorded for backward, or not.
---@param t Tensor float32
---@param flag? boolean? default true
---@return Tensor t
function lx.requires_grad_(t, flag) end

--- Another shape: a view where the strides allow it, else of a copy.
---@param t Tensor
---@param ... integer|integer[] sizes, one may be -1
---@return Tensor
function lx.reshape(t, ...) end

--- Shifted along dimensions; what leaves at the end comes in at the start.
---@param t Tensor
---@param shift integer|integer[] one for each dimension; negative shifts to the start
---@param dim? integer|integer[]|nil default: all elements as one row
---@return Tensor
function lx.roll(t, shift, dim) end

--- to the nearest whole number, halves to even; `round_` in place
---@param t Tensor
---@return Tensor
function lx.round(t) end

--- to the nearest whole number, halves to even, in place
---@param t Tensor
---@return Tensor
function lx.round_(t) end

--- 1/√x; `rsqrt_` in place
---@param t Tensor
---@return Tensor
function lx.rsqrt(t) end

--- 1/√x, in place
---@param t Tensor
---@return Tensor
function lx.rsqrt_(t) end

--- Writes tensors to a safetensors file; see `checkpoint.save`.
---@param path string
---@param tensors table
---@param metadata? table?
---@return boolean? ok, string? message, string? code
function lx.save(path, tensors, metadata) end

--- t with the elements of `source` at the positions `index` of a dimension: the reverse of `gather`. The last one where
--- a position is named twice.
---@param t Tensor
---@param dim integer
---@param index Tensor int32, from 1, of t's shape but for the size of `dim`
---@param source Tensor|number of the shape of index
---@return Tensor float32
function lx.scatter(t, dim, index, source) end

--- t with the elements of `source` added at the positions `index` of a dimension.
---@param t Tensor
---@param dim integer
---@param index Tensor int32, from 1, of t's shape but for the size of `dim`
---@param source Tensor|number of the shape of index
---@return Tensor float32
function lx.scatter_add(t, dim, index, source) end

--- One position of a dimension, which goes away.
---@param t Tensor
---@param dim integer
---@param index integer from 1, or from the end if negative
---@return Tensor a view
function lx.select(t, dim, index) end

--- 1/(1 + e^-x); `sigmoid_` in place
---@param t Tensor
---@return Tensor
function lx.sigmoid(t) end

--- 1/(1 + e^-x), in place
---@param t Tensor
---@return Tensor
function lx.sigmoid_(t) end

--- -1, 0 or 1; `sign_` in place
---@param t Tensor
---@return Tensor
function lx.sign(t) end

--- -1, 0 or 1, in place
---@param t Tensor
---@return Tensor
function lx.sign_(t) end

--- x / (1 + e^-x) (Elfwing et al. 2018); `silu_` in place
---@param t Tensor
---@return Tensor
function lx.silu(t) end

--- x / (1 + e^-x) (Elfwing et al. 2018), in place
---@param t Tensor
---@return Tensor
function lx.silu_(t) end

--- of radians; `sin_` in place
---@param t Tensor
---@return Tensor
function lx.sin(t) end

--- of radians, in place
---@param t Tensor
---@return Tensor
function lx.sin_(t) end

--- The size of dimension `dim`, or all sizes.
---@param t Tensor
---@param dim? integer?
---@return integer|integer[]
function lx.size(t, dim) end

--- Sorted along a dimension (default: the last). Stable; NaN comes last, or first where it descends.
---@param t Tensor
---@param dim? integer?
---@param descending? boolean?
---@return Tensor values, Tensor indices int32, from 1
function lx.sort(t, dim, descending) end

--- Cut along a dimension into pieces of a size (the last may be smaller), or of the sizes of a list, which add up
--- to it.
---@param t Tensor
---@param size integer|integer[]
---@param dim? integer? default 1
---@return Tensor[] views
function lx.split(t, size, dim) end

--- √x; `sqrt_` in place
---@param t Tensor
---@return Tensor
function lx.sqrt(t) end

--- √x, in place
---@param t Tensor
---@return Tensor
function lx.sqrt_(t) end

--- x²; `square_` in place
---@param t Tensor
---@return Tensor
function lx.square(t) end

--- x², in place
---@param t Tensor
---@return Tensor
function lx.square_(t) end

--- Removes a dimension of size 1, or all of them.
---@param t Tensor
---@param dim? integer? of size 1
---@return Tensor a view
function lx.squeeze(t, dim) end

--- Joins tensors of one shape along a new dimension.
---@param parts Tensor[]
---@param dim? integer? default 1
---@return Tensor
function lx.stack(parts, dim) end

--- The standard deviation: the root of `var`. Its gradient is 0 where it is 0.
---@param t Tensor
---@param dim? integer|(integer)[]|{dim?: integer|(integer)[], keepdim?: boolean}
---@param keepdim? boolean?
---@param unbiased? boolean? default true
---@return Tensor
function lx.std(t, dim, keepdim, unbiased) end

--- t - other, broadcast; `sub_` in place
---@param t Tensor|number
---@param other Tensor|number
---@return Tensor
function lx.sub(t, other) end

--- t - other, broadcast, in place
---@param t Tensor
---@param other Tensor|number
---@return Tensor
function lx.sub_(t, other) end

--- The sum of all elements, or over dimensions.
---@param t Tensor
---@param dim? integer|(integer)[]|{dim?: integer|(integer)[], keepdim?: boolean}
---@param keepdim? boolean? keeps them with size 1
---@return Tensor
function lx.sum(t, dim, keepdim) end

--- Waits until a device, or every open one, has done all that was asked of it. Devices other than `cpu` compute while
--- Lua goes on; what reads a tensor waits anyway, so this is for measuring time.
---@param device? string?
function lx.synchronize(device) end

--- The transpose of a matrix.
---@param t Tensor [M,N]
---@return Tensor [N,M], a view
function lx.t(t) end

--- hyperbolic tangent; `tanh_` in place
---@param t Tensor
---@return Tensor
function lx.tanh(t) end

--- hyperbolic tangent, in place
---@param t Tensor
---@return Tensor
function lx.tanh_(t) end

--- A tensor of the numbers in nested tables (or of one number).
---@param values table|number|Tensor a tensor is copied
---@param options? {dtype?: "float32"|"uint8"|"int32", device?: string, requires_grad?: boolean}
---@return Tensor
function lx.tensor(values, options) end

--- How many threads the cpu device computes with; sets it if a number is given.
---@param count? integer?
---@return integer
function lx.threads(count) end

--- Calls `f` and frees every tensor made inside it but those that it returns (also inside tables), gradients of
--- leaves, and those given to `keep`. What other coroutines make meanwhile is theirs: `f` may yield, and may resume
--- others.
---@generic T
---@param f fun(): T
---@param ... any
---@return T
function lx.tidy(f, ...) end

--- Repeated as a whole: `tile(2, 3)` has twice the rows and three times the columns. (`repeat` is a word of Lua.)
---@param t Tensor
---@param ... integer|integer[] how often along each dimension; more of them than dimensions add dimensions in front
---@return Tensor
function lx.tile(t, ...) end

--- Another dtype or device: t:to("uint8"), t:to("cpu"). The same tensor if nothing changes. Floats become integers by
--- rounding towards zero; what is too large or too small becomes the greatest or least integer, and NaN 0. Integers
--- from 2^24 on become the nearest float.
---@param t Tensor
---@param target string a dtype (float32, uint8, int32) or a device
---@return Tensor
function lx.to(t, target) end

--- The k largest (or smallest) along a dimension (default: the last), in order.
---@param t Tensor
---@param k integer
---@param dim? integer?
---@param largest? boolean? default true
---@return Tensor values, Tensor indices int32, from 1
function lx.topk(t, k, dim, largest) end

--- The elements as raw bytes: little-endian, row-major.
---@param t Tensor
---@return string
function lx.tostring_bytes(t) end

--- Nested Lua tables of the elements.
---@param t Tensor
---@return table|number
function lx.totable(t) end

--- Swaps two dimensions.
---@param t Tensor
---@param a integer
---@param b integer
---@return Tensor a view
function lx.transpose(t, a, b) end

--- The lower triangle of the last two dimensions, up to a diagonal (0: the main one, above it positive); 0 elsewhere.
---@param t Tensor
---@param diagonal? integer?
---@return Tensor float32
function lx.tril(t, diagonal) end

--- The upper triangle of the last two dimensions, from a diagonal on; 0 elsewhere.
---@param t Tensor
---@param diagonal? integer?
---@return Tensor float32
function lx.triu(t, diagonal) end

--- Runs a training step and an inference of the network on random numbers, and for each convolution and matrix product
--- in them times the candidates (algorithms and tile sizes) that the device has, several times each. A candidate counts
--- only if its result agrees with that of the plainest one. What is found is used from then on, and kept in the cache
--- folder for the device and its driver. Parameters, buffers, gradients and random state are as before afterwards.
---@param net Module with its parameters on the device to tune
---@param shape integer[] of the input, with the batch: `{32, 1, 224, 224}`
---@param options? {again?: boolean} again: measure also what was measured before
---@return luxel.Tuned
function lx.tune(net, shape, options) end

--- The different values, in order. Waits for the device.
---@param t Tensor
---@return Tensor [n] of t's dtype
function lx.unique(t) end

--- A new dimension of size 1 at `dim`.
---@param t Tensor
---@param dim integer
---@return Tensor a view
function lx.unsqueeze(t, dim) end

--- The variance over `dim` (default: all); divided by n - 1 unless `unbiased` is false.
---@param t Tensor
---@param dim? integer|(integer)[]|{dim?: integer|(integer)[], keepdim?: boolean}
---@param keepdim? boolean?
---@param unbiased? boolean? default true
---@return Tensor
function lx.var(t, dim, keepdim, unbiased) end

--- The same memory in another shape. One size may be -1. Raises if the strides do not allow it.
---@param t Tensor
---@param ... integer|integer[] sizes
---@return Tensor
function lx.view(t, ...) end

--- The same memory in the shape of another tensor. Raises if the strides do not allow it.
---@param t Tensor
---@param other Tensor of as many elements
---@return Tensor a view
function lx.view_as(t, other) end

--- condition ? a : b, each broadcast. Numbers are taken for a and b.
---@param condition Tensor what is not 0 holds
---@param a Tensor|number
---@param b Tensor|number
---@return Tensor float32, or int32 if a and b are
function lx.where(condition, a, b) end

--- Sets every element to 0.
---@param t Tensor
---@return Tensor t
function lx.zero_(t) end

--- A tensor of zeros: `zeros(2, 3)`, `zeros({2, 3}, {dtype = "uint8"})`.
---@param ... integer|(integer)[]|{dtype?: "float32"|"uint8"|"int32", device?: string, requires_grad?: boolean} sizes one by one or as one list, then options
---@return Tensor
function lx.zeros(...) end

--- Zeros of the shape, dtype and device of t.
---@param t Tensor
---@return Tensor
function lx.zeros_like(t) end

---@class lx.adapt
lx.adapt = {}

--- Adapts a model of two classes to local images. Nothing of `predictor` or its file changes.
---
--- Steps: "statistics" (batch normalisation by the local images; with labels, by as many of each class as the training
--- had, and only where patients kept out gain by it), "head" (the last layer, changed as little as patients kept out
--- say, and not at all where they gain nothing by it), "prior" (the share of the positive class, by expectation
--- maximisation without labels: Saerens, Latinne and Decaestecker 2002; left out where the images or logits say that
--- more has changed than that share), "calibration" (the scale and shift of the log-odds, held near the model's own)
--- and "threshold" (moved only where that gains 3 points in the mean of sensitivity and specificity); head, calibration
--- and threshold want labels. Default: all but prior where there are labels, else prior alone. With labels, `report`
--- compares before and after on patients kept out, for whom everything was chosen on the others.
---@param predictor luxel.Predictor of two classes, not adapted before
---@param dataset luxel.Dataset images of `predictor.size`, of patients that the model was not trained on (`lx.data.unseen`); labels may be NaN
---@param options? {steps?: (string)[], folds?: integer, seed?: integer} folds: of the report, default 5; seed: 1
---@return luxel.Adapted? adapted, string? message, string? code "few": fewer than 30 images, or of what wants labels fewer than 10 of a class; "unlike": they are no chest radiographs, or further from those of the training than a change of hospital explains; "model": it cannot be adapted, or not in that way; "io", "format", "device", "memory"
function lx.adapt.fit(predictor, dataset, options) end

---@class lx.anomaly
lx.anomaly = {}

--- Learns what is normal. Of the patients a share is kept out, and their images tell what a score means.
---
--- Methods: "mahalanobis", the distance of a network's pooled features to those of normal images (Rippel, Mertens and
--- Merhof, ICPR 2020); "neighbours", the distance to the most similar of them (Bergman, Cohen and Hoshen 2020);
--- "padim", Mahalanobis' distance at each place, of some channels of several stages (Defard et al., ICPR 2020);
--- "patchcore", the distance of each patch to the nearest one of normal images (Roth et al., CVPR 2022);
--- "autoencoder", what a network that learnt to draw normal images draws badly; "student", where a network that learnt
--- from another one what it sees in normal images sees something else (Wang et al., BMVC 2021). The last two draw their
--- first weights from the library's random numbers (`lx.manual_seed`).
---@param dataset luxel.Dataset normal images alone, at least 10
---@param options? {method?: string, net?: Module, model?: string, size?: integer, stages?: (integer)[], top?: number, neighbours?: integer, channels?: integer, patches?: integer, epochs?: integer, rate?: number, val?: number, seed?: integer, device?: string, batch?: integer, mean?: number, std?: number, enhance?: table, progress?: table} method: default "neighbours"; net: a classifier of `lx.models`, best with pretrained weights, of which a copy is taken, not for "autoencoder"; model: its name in `lx.models`, where `net.pretrained` does not say it; size: of the images as the network gets them, default that of the dataset; stages: those whose maps are looked at, counted from 1, by default of five the fourth for "mahalanobis", the third and fourth for "neighbours" and "patchcore", else the second to the fourth; top: share of the places, the largest, whose mean is the score, 0 for the largest alone (default; of "autoencoder" 1), not for "mahalanobis" and "neighbours"; neighbours: how many count, default 3; channels: of "padim", drawn at random, default 100; patches: that "patchcore" keeps, at least 2, default 4000; epochs: of "autoencoder" 30, of "student" 10; rate: of learning, default 1e-3; val: share of the patients kept out, default 0.2; seed: of all that is drawn but weights, default 1; mean, std: by default what the weights want, else 0.5 and 0.25; enhance: steps of `lx.vision.pipeline` without chance that every image goes through first, such as {{"clahe"}}
---@return luxel.Detector? detector, string? message, string? code "few": fewer than 10 images, or of too few patients; "model": features or losses from which nothing can be told; "device"
function lx.anomaly.fit(dataset, options) end

--- Opens what `Detector:save` wrote.
---@param path string
---@param options? {device?: string} as of `lx.device`, default "cpu"
---@return luxel.Detector? detector, string? message, string? code "io", "format", "device"
function lx.anomaly.open(path, options) end

---@class lx.autograd
lx.autograd = {}

--- Adds the gradient of `tensor` with respect to every leaf it was computed from to the leaf's `grad`. What the graph
--- saved is dropped on the way, unless `retain_graph`.
---@param tensor Tensor the result, usually a loss with one element
---@param grad? Tensor? the gradient of `tensor` itself, of its shape; may be left out for one element
---@param options? {retain_graph?: boolean}
function lx.autograd.backward(tensor, grad, options) end

--- Makes a differentiable function out of a pair of functions.
---
--- `forward(ctx, ...)` computes the result (or several) and keeps in `ctx` whatever backward will need; it is not
--- recorded itself. `ctx.needs[i]` says whether argument i wants a gradient. `backward(ctx, grad_out, ...)` gets one
--- gradient per result (nil for a result that had no influence, or is not float32) and returns one gradient (or nil)
--- per argument of forward, each of the shape of its argument. It may return the tensor it was given, but must not
--- change it.
---
---     local square = lx.autograd.define("square", {
---         forward = function(ctx, x) ctx.x = x; return x * x end,
---         backward = function(ctx, grad) return grad * ctx.x * 2 end,
---     })
---
--- `pure = true` promises that backward keeps no reference to the gradients it is given or returns, and never returns
--- a tensor saved in `ctx`: then they are freed as soon as they are used, without waiting for the collector.
---
--- `view = true` says that the result shows elements of the first argument as they are, so that writing into it while
--- operations are recorded changes the history of both. Other results that share memory with an argument are refused
--- there.
---@param name string for error messages and `autograd.registry`
---@param definition {forward: function, backward: function, pure?: boolean, view?: boolean, methods?: (string)[], name?: string}
---@return fun(...): ...
function lx.autograd.define(name, definition) end

--- Calls `f(...)` with recording on, for use inside `no_grad`.
---@generic T
---@param f fun(...): T
---@param ... any
---@return T
function lx.autograd.enable_grad(f, ...) end

--- Whether operations are being recorded.
---@return boolean
function lx.autograd.is_grad_enabled() end

--- Calls `f(...)` without recording operations, and returns what it returns. The mode is restored on error too. It is a
--- mode of the coroutine that calls, and of those that it resumes meanwhile: while it is suspended inside, others
--- record.
---@generic T
---@param f fun(...): T
---@param ... any
---@return T
function lx.autograd.no_grad(f, ...) end

---@class lx.calibration
lx.calibration = {}

--- Fits a calibration of one logit. Missing labels (NaN) are left out.
---
--- - platt: sigmoid(scale * logit + shift) (Platt 1999, "Probabilistic outputs for support vector machines"; solved as
---   in Lin, Lin and Weng 2007).
--- - temperature: sigmoid(logit / temperature) (Guo, Pleiss, Sun and Weinberger, ICML 2017).
--- - beta: the sigmoid s of the logit becomes 1 / (1 + e^-c (1 - s)^b / s^a), neither exponent below 0 (Kull, Silva
---   Filho and Flach, AISTATS 2017).
--- - isotonic: the rising steps nearest to the labels, linear in between and constant outside (Zadrozny and Elkan, KDD
---   2002). Of few images it follows chance, and it can say 0 and 1.
---
--- All but isotonic are fitted to Platt's smoothed targets, so that a perfectly separated set does not give infinite
--- certainty.
---@param logits number[] finite
---@param labels number[] 0, 1, or NaN (missing)
---@param options? {method?: "platt"|"temperature"|"isotonic"|"beta"} default "platt"
---@return Calibration? fitted nil where there is only one class, or a number would be above 1e12; a table that models keep as `calibration` in their metadata
---@return string? message why nil
function lx.calibration.fit(logits, labels, options) end

--- Fits one number that all logits are divided by (Guo, Pleiss, Sun and Weinberger, ICML 2017), by Newton's method. The
--- cross-entropy is convex in its inverse. Missing labels (NaN) are left out.
---@param rows number[][] logits, finite
---@param labels number[] class numbers from 0, or NaN
---@return {temperature: number}? nil where there are fewer than two classes, or all logits of each image are the same; else from 1e-4 to 1e4 times the largest difference of logits
function lx.calibration.fit_temperature(rows, labels) end

--- The probability that torchxrayvision (Cohen et al. 2022) makes of one: its models have for each class the
--- probability that shall count as 0.5, and the parts below and above are stretched to that. A class that was not
--- trained has none, and its answer is 0.5, whatever the network says.
---@param p number from 0 to 1
---@param point? number|false|nil above 0 and below 1; false, nil or NaN: there is none
---@return number from 0 to 1
function lx.calibration.operating_point(p, point) end

--- The prior of images without labels, by expectation maximisation, and their probabilities for it (Saerens, Latinne
--- and Decaestecker 2002). It takes calibrated probabilities, and that only the shares of the classes have changed, not
--- what they look like: nothing here can tell whether that is so.
---@param probabilities number[]|number[][]|luxel.Tensor of the positive class, or a row for each image
---@param from number|number[] the share of positives, or of each class, among the images they were calibrated on
---@param options? {iterations?: integer, tolerance?: number} default 1000, and 1e-8: the change of a share at which it has converged
---@return {prior: number|number[], probabilities: number[]|number[][], converged: boolean, iterations: integer, change: number}? shift converged: false where `iterations` were not enough, and the prior is still moving by `change`
---@return string? message why nil: no images, or all probabilities are the same and say nothing of a prior
function lx.calibration.prior_shift(probabilities, from, options) end

--- The probability for a logit; without a calibration the plain sigmoid.
---@param fitted? Calibration|{operating_point: number|false}|false|nil
---@param logit number finite
---@return number from 0 to 1
function lx.calibration.probability(fitted, logit) end

--- Probabilities of the logits of classes that exclude each other.
---@param row number[] finite
---@param temperature? number? above 0, default 1: what the logits are divided by
---@return number[] that add up to 1
function lx.calibration.softmax(row, temperature) end

--- Probabilities for another prior: by Bayes' theorem, if what the classes look like has stayed the same (Saerens,
--- Latinne and Decaestecker, Neural Computation 14:21, 2002, equation 2.4).
---@param probabilities number[]|number[][]|luxel.Tensor calibrated: of the positive class, or a row for each image
---@param from number|number[] the share of positives, or of each class, among the images they were calibrated on
---@param to number|number[] the same where they are used
---@return number[]|number[][] probabilities
function lx.calibration.with_prior(probabilities, from, to) end

---@class lx.checkpoint
lx.checkpoint = {}

--- Reads what `save` wrote, or another program in this format. A file of `save`'s is compared with its checksum, and
--- what describes a model in it with what such fields have to be; metadata of other programs are text, byte for byte.
---
--- Integers become int32, truth values uint8 and floats float32; numbers out of range and other types are refused.
---
--- The tensors are on the cpu. Those of type float32, int32 and uint8 are the file's own bytes: changing a tensor does
--- not change the file, and `save` may replace the file meanwhile, but nobody should write into it or cut it short
--- while they are in use. `:clone()` makes them independent, and `load_state_dict` copies.
---@param path string
---@return table<string, Tensor>? tensors nil if the file cannot be used
---@return table<string, any>|string metadata or the message
---@return string? code "io", or "format" for a file that is damaged or not in this format
function lx.checkpoint.load(path) end

--- Reads what `save_training` wrote into a network, an optimiser and a schedule that were made in the same way.
--- The options of the optimiser, its learning rates among them, are those of the file afterwards.
---@param path string
---@param parts {net: Module, optimizer: table, scheduler?: table}
---@return table? state what was given to `save_training`, or an empty table; nil where the file cannot be used: then nothing has changed
---@return string? message, string? code "io" or "format"; what is not of this network or optimiser is "format" too
function lx.checkpoint.load_training(path, parts) end

--- Writes tensors and metadata. The old file stays until the new one is complete and on disk. The same tensors and
--- metadata give the same file, byte for byte.
---@param path string
---@param tensors table<string, Tensor>
---@param metadata? table<string, any>? finite numbers, text (UTF-8), booleans and tables of them; raises at others
---@param options? {half?: boolean} half: weights in half precision (those of two dimensions and more), about half the bytes; they are rounded to 11 bits, and one beyond 65504 is refused
---@return boolean? ok, string? message, string? code
function lx.checkpoint.save(path, tensors, metadata, options) end

--- Writes all that a training loop of one's own needs to go on exactly: the network, the optimiser, the schedule, where
--- the random numbers are, and its own numbers.
---@param path string
---@param parts {net: Module, optimizer: table, scheduler?: table, state?: table} state: finite numbers, text, booleans and tables of them, such as {epoch = 3, best = 0.9}
---@return boolean? ok, string? message, string? code
function lx.checkpoint.save_training(path, parts) end

---@class lx.conformal
lx.conformal = {}

--- How often sets hold the right class, and how much they say.
---@param sets integer[][] of `sets`
---@param labels number[]|luxel.Tensor class numbers from 0, or NaN (left out)
---@return {n: integer, coverage: number, size: number, singles: number, empty: number, by_class: table<integer, number>}? evaluation size: mean number of classes; singles, empty: shares of sets of one and of no class; by_class: the coverage of the images of each class that occurs
---@return string? message why nil
function lx.conformal.evaluate(sets, labels) end

--- Fits prediction sets on images that were not trained on (validation images that chose nothing, best of all). The
--- nonconformity of a class is one less its probability (Sadinle, Lei and Wasserman, JASA 114:223, 2019).
---@param probabilities number[]|number[][]|luxel.Tensor of the positive of two classes, or a row for each image
---@param labels number[]|luxel.Tensor class numbers from 0, or NaN (left out)
---@param options? {by_class?: boolean} by_class: the coverage is promised for the images of each class by themselves (Vovk 2005, section 4.5), which takes more images
---@return luxel.Conformal fitted a table that can be kept as JSON
function lx.conformal.fit(probabilities, labels, options) end

--- How unusual a score is: the share of n scores, and of itself, that are as large or larger, (1 + their number) /
--- (n + 1). At or below p with a probability of at most p, if the image is like the others.
---@param scores number[]|luxel.Tensor of images that were not trained on, in any order
---@param score number other than NaN
---@return number p
function lx.conformal.p_value(scores, score) end

--- How unusual each class would be for each image, as of `p_value`. The set of coverage c holds the classes above
--- 1 - c.
---@param fitted luxel.Conformal
---@param probabilities number[]|number[][]|luxel.Tensor as of `fit`
---@return number[][] p of each image a number for each class
function lx.conformal.p_values(fitted, probabilities) end

--- The nonconformity that a new image's stays at or below with a probability of at least `coverage`: of n scores the
--- one of rank ceil((n + 1) coverage).
---@param scores number[]|luxel.Tensor of images that were not trained on, in any order
---@param coverage number above 0 and below 1
---@return number quantile infinite where there are too few scores to promise that
function lx.conformal.quantile(scores, coverage) end

--- The classes of each image that are not unusual for it. A set of several says that the model cannot tell, an empty
--- one that the image is like none of them.
---@param fitted luxel.Conformal
---@param probabilities number[]|number[][]|luxel.Tensor as of `fit`
---@param coverage number above 0 and below 1: the share of images whose set holds the right class, at least
---@return integer[][] sets class numbers from 0, ascending; all of them where the images of `fit` are too few to promise that
function lx.conformal.sets(fitted, probabilities, coverage) end

---@class lx.data
lx.data = {}

--- Looks through a folder as `image_folder` reads it, or through the images of a frame: every file once.
---@param dir string|Frame
---@param options? {progress?: function, classes?: table, positive?: string, patient?: string} classes, positive and patient as of image_folder
---@return luxel.Audit? audit, string? message, string? code
function lx.data.audit(dir, options) end

--- Iterates over one epoch: `for x, y, indices in batches(dataset, {batch = 32, epoch = epoch}) do`.
---
--- x is float32 [B,C,S,S], (grey / 255 - mean) / std; y is float32 [B,1] of two classes (0 and 1), [B,K] of several
--- labels, of many classes [B], numbers from 1 as `F.cross_entropy` wants them, and of a segmentation [B,1,S,S], 1
--- inside the masks; of a detection [B,T,5] on the cpu, {x, y, w, h, class} of each object as `F.region_loss` wants
--- them, without those of which less than 2 pixels of a side are left; NaN where one is missing; indices is int32 [B] on
--- the cpu, the places in the dataset; where the
--- dataset has masks they come fourth, uint8 [B,1,S,S] on the cpu, zeros where an image has none; where it has boxes
--- they come fifth, for each image a list of {x =, y =, w =, h =} in pixels of x, without those that left the image. The
--- same options give the same batches on every device and with any number of threads.
---
--- Without `epoch` the first call on a dataset is its epoch 1, the next one its epoch 2, and so on; `lx.manual_seed`
--- begins with 1 again. Calls in which chance has no part (`shuffle = false`, no `augment`) do not count. A loop that is
--- to go on in another process has to say its epoch.
---
--- The last batch is smaller where the images do not divide, or left out with `drop_last`. A file that cannot be read
--- is an error that names it, at the batch it belongs to.
---
--- `augment` is a pipeline (`lx.vision.pipeline`) or its steps; `true` stands for mirrored every other time, turned by
--- up to 10 degrees, moved by up to a tenth and scaled by up to a tenth. Note that mirroring moves the heart to the
--- right.
---
--- `enhance` are steps without chance that come before it, such as {{"clahe"}}.
---
--- Breaking out of the loop, an error, or Ctrl-C stops the threads.
---@param dataset luxel.Dataset
---@param options? {batch?: integer, shuffle?: boolean, balanced?: boolean, balance?: {groups: table, most?: integer}, seed?: integer, epoch?: integer, enhance?: table, augment?: boolean|table, size?: integer, sizes?: (integer)[], every?: integer, drop_last?: boolean, mean?: number, std?: number, skip?: integer, device?: string, threads?: integer, memory?: number, idle?: function} epoch: default the next one, see above; balanced: each class as often as the others; balance: {groups = the group of each image, most = 4}: each group's images of each class as often as the others, but none more than `most` times; size: S, else the pipeline's, else the dataset's; sizes: instead of it several, of which each run of `every` batches (default 10) has one that is drawn (Redmon and Farhadi 2017); skip: batches to leave out, to go on within an epoch; device: default the cpu; threads: those that read ahead; 0 is for the threads that compute doing it in between, the default on the cpu; memory: bytes of batches that are made ahead; idle: called without arguments now and then while a batch is waited for
---@return fun(): luxel.Tensor?, luxel.Tensor?, luxel.Tensor?, luxel.Tensor?, table[][]?
function lx.data.batches(dataset, options) end

--- A linear classifier on the outer border alone: the image is brought to 28 x 28, and the outermost three pixels (as
--- six of 56), standardised, go into a logistic regression with a ridge. No lung is there, so whatever it knows of the
--- class is known from the device, the collimation, or how the patient was laid. Of several classes each is told from
--- the rest; those with fewer than ten patients are left out.
---@param images Dataset|Frame with labels; patients are kept together where they are known
---@param options? {seed?: integer, resamples?: integer} seed: of folds and bootstrap, default 1; resamples: default 1000
---@return luxel.BorderProbe? probe nil, message, code where a class has fewer than ten patients, or a file cannot be read
---@return string? message, string? code
function lx.data.border_probe(images, options) end

--- A frame of images with boxes, of the task "detection": `boxes` in pixels of the file from the top left, `label` 1
--- where there are boxes, 0 where the file says that there are none, NaN where it says nothing.
---
--- "csv" has the columns image, x, y, w, h (pixels from the top left), and may have label, image_width and
--- image_height; a row without a box says that there is none. "darknet" is a folder of text files with the names of the
--- images, of lines `class x y w h` (class from 0, centre and size as fractions); an empty file says that there is
--- nothing, and classes.txt has the names. "coco" is COCO's JSON (Lin et al. 2014); its images without annotations have
--- nothing, and crowds count as there. "voc" is a folder of Pascal VOC's XML files (Everingham et al. 2010), of corners
--- in pixels from 1; difficult objects count as crowds. "rsna" is the table of the challenge of 2018 (patientId, x, y,
--- width, height, Target).
---
--- Boxes that are not in their image by more than a pixel, without an area, or not finite, images that are not there or
--- have another size than a file says, and classes that are none are errors that name the place.
---@param path string the file, or the folder
---@param options? {format?: "csv"|"darknet"|"coco"|"voc"|"rsna", images?: string, classes?: (string)[], one_class?: string, unlisted?: "unknown"|"negative"|"leave_out", negatives?: (string)[], patient?: string} format: default by the name and the columns; images: the folder that has them, also below, default that of the file; names without extension or folders will do where they mean one image; classes: the names in order, default those of the file, or those found; one_class: all boxes are of this one class; unlisted: what the images are that the file does not mention, default "unknown"; negatives: names of images that are known to have none of these objects; patient: a Lua pattern as of `lx.data.image_folder`, default as `lx.data.patient` knows it
---@return luxel.Frame? frame, string? message, string? code "io" or "format"
function lx.data.box_frame(path, options) end

--- A rectangle of each image is taken from another one of the batch, and the target mixed by the areas; its place is
--- drawn evenly, its area so that Beta(alpha, alpha) stays.
---@param x Tensor [N,C,H,W]
---@param y Tensor [N,...]
---@param options? {alpha?: number, seed?: integer, index?: integer} alpha: default 0.2; seed, index: name what is drawn, default 1
---@return Tensor x, Tensor y, number share
function lx.data.cutmix(x, y, options) end

--- A dataset of images in memory.
---@param options {images: Tensor, labels?: Tensor|table, classes?: (string)[], task?: "binary"|"classes"|"labels"|"segmentation"|"detection", patients?: table, paths?: (string)[], boxes?: (any)[], masks?: Tensor|(string)[], size?: integer, crop?: "lungs"} images: uint8 or float32, both of 0..255, [N,1,H,W] or [N,3,H,W]; labels: a number of each image (0 negative, 1 positive; of more classes from 0), or [N,K] of 0 and 1 for K labels that do not exclude each other; NaN is a missing one; task: what the labels are, where their shape does not tell it ("classes" for two of a softmax); masks: uint8 [N,1,H,W] or files, not 0 inside; without labels they are the targets, and with the task "segmentation" labels say for which images: 0 with a mask, NaN without; boxes: of each image a list; with the task "detection" they are the targets, false where nothing is known of an image; patients: so that a split has each of them on one side; size: of batches, default W; crop: the part of films that they show
---@return luxel.Dataset
function lx.data.dataset(options) end

--- A frame of a table: a CSV file with the names of its columns in the first line, a list of rows (tables with names),
--- or a function that gives rows until nil.
---
--- With `label`, a column of class names or numbers: two classes (the positive one is known by the other's name, or
--- said with `positive`) or more. With `labels`, columns of 0 and 1 that do not exclude each other; empty ones are
--- missing, and -1, which marks doubt in CheXpert (Irvin et al., AAAI 2019), becomes what `uncertain` says. Rows
--- without a class are missing labels too, which losses and metrics leave out. With `mask` or `masks` and neither of
--- these, the masks are the targets (segmentation); beside labels they go along with the images.
---@param source string|table[]|fun(): table?
---@param options {path?: string, root?: string, label?: string, labels?: (string)[], classes?: (string)[], positive?: string, uncertain?: "ones"|"zeros"|"ignore", patient?: string, part?: string, boxes?: (string)[], box_label?: string, mask?: string, masks?: string, keep?: function} path: the column of the image (default "path"); root: the folder of its relative paths (default that of the CSV file); classes: the names in the order of their numbers; patient, part: columns (default "patient" and "part" where there are such; else names of files tell patients as `lx.data.patient` does); boxes: four columns of x, y, w, h in pixels from the top left, of which an image may have several rows; box_label: the column of what a box is; mask: the column with the file of the mask, empty where there is none; masks: the folder that has the mask of each image under its name, with any extension; both in the size of the image, or another one of its proportion, not 0 inside; keep: whether a row counts, by its cells. Rows of a file that say the same of one image again count once
---@return luxel.Frame? frame, string? message, string? code "io" or "format"
function lx.data.frame(source, options) end

--- The images in DIR/{NORMAL,PNEUMONIA}, DIR/{Normal,Infected} or any class folders, upper or lower case, with or
--- without folders for the parts above them (train, training; val, valid, validation, dev; test, testing).
---
--- Two classes: the positive one is the disease. It is known where the other one's name says that nothing was found
--- (normal, healthy, negative, no_finding, control, ..., or no_X beside X); else `positive` says it. More classes are
--- numbered by their names, one that says that nothing was found first.
---
--- Hidden files, folders of masks, what is no image by its name (`vision.formats`), and what lies beside the folders of
--- classes and parts are left out: `frame.left_out`.
---@param dir string
---@param options? {positive?: string, classes?: table, patient?: string, group?: function} positive: the folder of the disease; classes: two of several folders; patient: a Lua pattern whose capture in the path is the patient; group: the same as a function; default `lx.data.patient`. Files of unknown patients are each their own group.
---@return luxel.Frame? frame, string? message, string? code nil, message, "io" for a missing folder, "format" for one without images of each class
function lx.data.image_folder(dir, options) end

--- Each image and target becomes share · itself + (1 - share) · another one's of the batch; the share is drawn from
--- Beta(alpha, alpha), once for the batch.
---@param x Tensor [N,C,H,W]
---@param y Tensor [N,...]
---@param options? {alpha?: number, seed?: integer, index?: integer} alpha: default 0.2; seed, index: name what is drawn, default 1
---@return Tensor x, Tensor y, number share
function lx.data.mixup(x, y, options) end

--- Mosaics: an image becomes four windows around a place that is drawn evenly from the middle half of both sides, the
--- first one of itself, the others of images of the batch that are drawn (it may be among them); each shows a part of
--- its image, drawn evenly, at its own scale. Objects go along, cut off at the edges of their window; what is left with
--- a side below 2 pixels, or with less than `keep` of its area, is dropped. A mosaic with a window of an image of which
--- nothing is known (NaN) is one of which nothing is known.
---@param x Tensor [N,C,H,W], sides of at least 4 pixels
---@param y Tensor [N,T,5] on the cpu, as `lx.data.batches` gives it: centre and size as fractions of the image, class
---@param options? {share?: number, keep?: number, seed?: integer, index?: integer} share: chance of an image to become a mosaic, default 1; keep: default 0.3; seed, index: name what is drawn, default 1
---@return Tensor x, Tensor y
function lx.data.mosaic(x, y, options) end

--- Whether an image is one that models are only judged on, by the name of its file: see lua/luxel/data/outside.lua.
--- Keep those out of training: `frame:filter(function(row) return not lx.data.outside(row.path) end)`.
---@param path string
---@return string? set the name of the set that it is of; nil for all other images
function lx.data.outside(path) end

--- The patient of an image file: by the Patient ID of a DICOM file, else by its name where it is one of Kermany's,
--- ChestX-ray14's, CheXpert's, MIMIC-CXR's, PadChest's, RSNA's, Montgomery's or Shenzhen's.
---@param path string with the folders above it, which CheXpert and MIMIC-CXR need
---@return string? patient nil where it is not known; some collections number studies instead
---@return string? source "DICOM" or the name of the collection
function lx.data.patient(path) end

--- Synthetic radiographs in memory, with `boxes` of the opacities; about 6 ms each at 128 pixels. The same options give
--- the same pictures everywhere. Of the task "segmentation" they have masks of the lungs to learn instead of labels; of
--- the task "detection" boxes, those that overlap much joined to one, because what they are around looks like one.
---@param options? {n?: integer, size?: integer, seed?: integer, infected?: number, task?: "binary"|"segmentation"|"detection"} 200 images of 128 pixels, seed 1, half of them infected, task "binary"
---@return luxel.Dataset
function lx.data.phantom(options) end

--- Writes the same images as PNG files, in the layout that `image_folder` reads (DIR/NORMAL, DIR/PNEUMONIA), and their
--- boxes as DIR/boxes.csv. Of the task "segmentation" they are in DIR/images, and masks of the same names in DIR/masks;
--- of the task "detection" in DIR/images too, and boxes.csv has a row without a box for each image that has none.
---@param dir string made if need be
---@param options? {n?: integer, size?: integer, seed?: integer, infected?: number, task?: "binary"|"segmentation"|"detection"} as for `phantom`
---@return integer? count, string? message, string? code
function lx.data.phantom_save(dir, options) end

--- Writes the boxes of a frame, in one of the formats that `box_frame` reads. Images of which nothing is known are not
--- in it. "csv", "darknet" and "rsna" have no crowds: such boxes become plain ones.
---@param path string the file; of "darknet" and "voc" the folder, which is made if need be
---@param frame luxel.Frame of the task "detection"
---@param options {format: "csv"|"darknet"|"coco"|"voc"|"rsna", images?: string} images: the folder from which names of images are written, default each image's own
---@return boolean? ok, string? message, string? code "io", or as of an image that cannot be read
function lx.data.save_boxes(path, frame, options) end

--- Groups images by their looks, not by what they show: k-means (Lloyd, IEEE Transactions on Information Theory 28:2,
--- 1982) of the outer border, the corners and the lowest frequencies of each image, brought to 28 x 28 and
--- standardised. Labels are not used. The same images and options give the same clusters on one machine; the largest
--- cluster is the first. Eight is the most of which any two seeds agree about on the Kermany set (docs/shortcuts.md).
---@param images Dataset|Frame at least k images
---@param options? {k?: integer, seed?: integer} k: clusters, default 8; seed: default 1
---@return luxel.Styles? styles with `cluster`, a list with the number 1..k of each image's cluster
---@return string? message, string? code where a file of a frame cannot be read
function lx.data.styles(images, options) end

--- The images that nothing of a model's training is known of: neither they themselves, nor another image of
--- their patients.
---@param dataset luxel.Dataset whose images are in memory, or were read
---@param trained_on? {pixels: string, patients: string, images?: number} nil: nothing is known
---@return luxel.Dataset rest, {pixels: integer, patients: integer} left_out images left out for their pixels, and for their patients alone
function lx.data.unseen(dataset, trained_on) end

---@class lx.explain
lx.explain = {}

--- What a map is to be better than: a Gaussian about the middle, the same for every image.
---@param n integer how many maps
---@param size integer|integer[] side in pixels, or {height, width}
---@param options? {deviation?: number} deviation: as a share of the sides, default 0.25
---@return Tensor maps float32 [n,size,size], 1 in the middle
function lx.explain.centre(n, size, options) end

--- How much of what a map shows is inside the boxes: the sum of its positive values there, as a share of all (the
--- energy-based pointing game of Wang et al. 2020). A map without positive values has none of it inside: 0.
---@param maps Tensor float32 [N,H,W]
---@param boxes {x: number, y: number, w: number, h: number}[][] of each image a list, in pixels of its map; images with an empty list are left out. A pixel is inside where its middle is
---@param options? {groups?: (any)[]|false, n?: integer, seed?: integer, level?: number} as of `lx.metrics.mean`; groups: the patient of each image
---@return {mean: number, low: number?, high: number?, images: integer, units: integer}? energy 0 to 1, its interval
---@return (number|false)[]|string values of each image, false where it has no boxes; or why there is no mean
function lx.explain.energy_inside(maps, boxes, options) end

--- Grad-CAM (Selvaraju et al. 2017): a layer's maps, weighted by the means of the logit's gradients and added up.
--- Where the map is large, the layer speaks for the class. As coarse as the layer, enlarged bilinearly.
---@param model Module|luxel.Predictor a network that gives logits [N,K], or a model
---@param images Tensor|string|{bytes: string, name?: string} float32 [N,C,H,W] as the network gets them; with a model also the path or the bytes of a file, or a picture uint8 [1,H,W]
---@param options? {class?: integer|(integer)[]|string, batch?: integer, layer?: string}
---@return Tensor? maps float32 [N,H,W] of the network's input (of a file or picture all of it), at least 0
---@return string? message, string? code why nil: the file cannot be read
function lx.explain.grad_cam(model, images, options) end

--- Grad-CAM++ (Chattopadhay et al. 2018): positions count by their share in the gradient, so that findings of
--- different sizes show alike. Made for maps that are not negative, as behind a ReLU.
---@param model Module|luxel.Predictor as of `grad_cam`
---@param images Tensor|string|{bytes: string, name?: string} as of `grad_cam`
---@param options? {class?: integer|(integer)[]|string, batch?: integer, layer?: string}
---@return Tensor? maps float32 [N,H,W] of the network's input (of a file or picture all of it), at least 0
---@return string? message, string? code why nil: the file cannot be read
function lx.explain.grad_cam_plus_plus(model, images, options) end

--- Integrated gradients (Sundararajan et al. 2017): the mean gradient on the straight way from a baseline to the
--- image, times their difference, summed over channels. Complete: the sum over a map is the logit of the image less
--- that of the baseline, up to the error of the integral (midpoint rule).
---@param model Module|luxel.Predictor as of `grad_cam`
---@param images Tensor|string|{bytes: string, name?: string} as of `grad_cam`
---@param options? {class?: integer|(integer)[]|string, batch?: integer, steps?: integer, baseline?: number}
---@return Tensor? maps float32 [N,H,W] of the network's input (of a file or picture all of it), signed, in units of the logit
---@return string? message, string? code why nil: the file cannot be read
function lx.explain.integrated_gradients(model, images, options) end

--- LayerCAM (Jiang et al. 2021): each position of a layer's maps is weighted by its own gradient, where that is
--- positive. Serves finer layers as well, whose gradients differ from place to place.
---@param model Module|luxel.Predictor as of `grad_cam`
---@param images Tensor|string|{bytes: string, name?: string} as of `grad_cam`
---@param options? {class?: integer|(integer)[]|string, batch?: integer, layer?: string}
---@return Tensor? maps float32 [N,H,W] of the network's input (of a file or picture all of it), at least 0
---@return string? message, string? code why nil: the file cannot be read
function lx.explain.layer_cam(model, images, options) end

--- Occlusion (Zeiler and Fergus 2014): by how much the logit falls where a window is covered; of a pixel the mean over
--- the windows that cover it. Positive where the picture speaks for the class. A forward pass for each window.
---@param model Module|luxel.Predictor as of `grad_cam`
---@param images Tensor|string|{bytes: string, name?: string} as of `grad_cam`
---@param options? {class?: integer|(integer)[]|string, batch?: integer, window?: integer, stride?: integer, baseline?: number}
---@return Tensor? maps float32 [N,H,W] of the network's input (of a file or picture all of it), signed, in units of the logit
---@return string? message, string? code why nil: the file cannot be read
function lx.explain.occlusion(model, images, options) end

--- The image with a map over it: the larger a value, the lighter its colour and the less is seen of the image; values
--- below 0 are not shown. The map covers the whole image and is enlarged to its pixels, as images are shrunk for a
--- network.
---@param image Tensor uint8 [1,H,W] or [3,H,W] on the cpu
---@param map Tensor float32 [h,w] or [1,h,w], finite
---@param options? {most?: number} most: the value of the last colour, and of what is above; default the largest of the map
---@return Tensor picture uint8 [3,H,W]
---@return number most the value of the last colour, 0 where no value is above 0
function lx.explain.overlay(image, map, options) end

--- How often the largest value of a map is inside a box (Zhang et al. 2018, "Top-down neural attention by excitation
--- backprop"). Of several places with the largest value the share that is inside counts; a map without positive values
--- points nowhere: 0.
---@param maps Tensor float32 [N,H,W]
---@param boxes {x: number, y: number, w: number, h: number}[][] as of `energy_inside`
---@param options? {tolerance?: number, groups?: (any)[]|false, n?: integer, seed?: integer, level?: number} tolerance: pixels around a box that count as inside, default 0; the others as of `energy_inside`
---@return {mean: number, low: number?, high: number?, images: integer, units: integer}? hits 0 to 1, its interval
---@return (number|false)[]|string values of each image, false where it has no boxes; or why there is no mean
function lx.explain.pointing_game(maps, boxes, options) end

--- How alike two maps of the same image are: Spearman's rank correlation over their pixels, of each pair. Maps that
--- stay alike when the weights of the network are drawn anew do not come from these weights (Adebayo et al. 2018,
--- "Sanity checks for saliency maps").
---@param maps Tensor float32 [N,H,W]
---@param others Tensor float32 [N,H,W]
---@return number[] correlations -1 to 1 of each pair; 0 where one of the two maps is the same everywhere
function lx.explain.rank_correlation(maps, others) end

--- Score-CAM (Wang et al. 2020): a layer's maps count by the logit of the image seen through each of them, by a
--- softmax, without gradients. As many forward passes as the layer has channels.
---@param model Module|luxel.Predictor as of `grad_cam`
---@param images Tensor|string|{bytes: string, name?: string} as of `grad_cam`
---@param options? {class?: integer|(integer)[]|string, batch?: integer, layer?: string}
---@return Tensor? maps float32 [N,H,W] of the network's input (of a file or picture all of it), at least 0
---@return string? message, string? code why nil: the file cannot be read
function lx.explain.score_cam(model, images, options) end

--- A network of the cosines between what an encoder makes of images and vectors of words or sentences: with it every
--- method of `lx.explain` shows where in an image a word is, `class` being the number of the vector. The difference of
--- two vectors ("there is an effusion" less "there is none") leaves out what both sentences share.
---@param encoder Module of images [N,C,H,W], a vector [N,D] for each, as those that learn by `F.clip_loss`
---@param vectors Tensor float32 [K,D], none of them 0
---@return Module similarity cosines [N,K]; it shares the encoder
function lx.explain.similarity(encoder, vectors) end

--- SmoothGrad (Smilkov et al. 2017): the gradient of the logit with regard to the image, the mean over noisy copies
--- of it, of which absolute values are summed over channels: how much a pixel matters, not in which direction.
---@param model Module|luxel.Predictor as of `grad_cam`
---@param images Tensor|string|{bytes: string, name?: string} as of `grad_cam`
---@param options? {class?: integer|(integer)[]|string, batch?: integer, samples?: integer, noise?: number, seed?: integer}
---@return Tensor? maps float32 [N,H,W] of the network's input (of a file or picture all of it), at least 0
---@return string? message, string? code why nil: the file cannot be read
function lx.explain.smooth_grad(model, images, options) end

--- The method that the programs take where none is said, of those that need one pass of gradients: "layer_cam", or
--- "grad_cam" of a network whose head averages the map that is looked at. There a channel has the same gradient at
--- every place, and LayerCAM, which leaves out the negative ones, shows what is striking in the image whatever the last
--- layer says, while Grad-CAM is the class activation map of Zhou et al. 2016: docs/explain.md has what weights drawn
--- anew change of both.
---@param model luxel.Predictor a classifier; of several models the first is looked at
---@return "layer_cam"|"grad_cam"
function lx.explain.usual(model) end

---@class lx.io
lx.io = {}

---@class lx.io.darknet
lx.io.darknet = {}

--- Fills a network with the weights of a file, which has to be as long as they are; nothing is changed if it is not.
--- Headers of 16 and 20 bytes are known by the version, and where forks of darknet disagree (major or minor from 1000
--- on) by the length of the file.
---@param net Module of `network`
---@param path string
---@param options? {layers?: integer} layers: the file has those of the first so many layers alone, as `.conv.N` files
---@return {major: integer, minor: integer, revision: integer, seen: integer, bytes: integer}? header kept as `net.header`; seen: the images that the weights were trained on; bytes: the header's length
---@return string? message
---@return string? code "io", "format"
function lx.io.darknet.load_weights(net, path, options) end

--- A network of a configuration, with random weights. Its layers have darknet's numbers, `net.layers`; called with
--- images [N,channels,H,W] of 0 to 1, it gives the map that each [region] or [yolo] reads, [N,anchors (5 +
--- classes),H',W'], and `net.detections` says what these are.
---@param cfg luxel.DarknetCfg
---@param options? {root?: "inside"|"outside", momentum?: number, parameters?: integer} root: where batch normalisation has its epsilon, see `nn.DarknetBatchNorm2d`, default "inside", which published weights want; momentum: of its running statistics, default 0.1; parameters: how many a network may have at most, default 134217728
---@return Module? net
---@return string? message
---@return string? code "format", with the section and its line
function lx.io.darknet.network(cfg, options) end

--- Reads a configuration. Sections and options that are not known, come twice or have another kind of value are refused
--- with their line.
---@param path string at most 1 MiB
---@return luxel.DarknetCfg? cfg a list of {name =, line =, options =}, the first [net]; options are numbers, lists of them, or words
---@return string? message
---@return string? code "io", "format"
function lx.io.darknet.read_cfg(path) end

--- Writes the weights of a network. A network that `load_weights` filled gives the same bytes.
---@param net Module of `network`
---@param path string
---@param options? {layers?: integer, major?: integer, minor?: integer, revision?: integer, seen?: integer} layers: of the first so many alone; version and seen: default those that were loaded, or 0.2.0, and 0
---@return boolean? ok, string? message, string? code
function lx.io.darknet.save_weights(net, path, options) end

--- Writes a configuration: the sections in order, and the options of each in the order of their names.
---@param path string
---@param cfg luxel.DarknetCfg
---@return boolean? ok, string? message, string? code
function lx.io.darknet.write_cfg(path, cfg) end

---@class lx.io.torch
lx.io.torch = {}

--- Reads what `torch.save` wrote: a state dict, a dict with one inside, or a whole module, whose tensors get the names
--- of its state dict. Nothing of the file is run: names of tensors, plain containers and the classes of modules of
--- torch.nn, torchvision and torchxrayvision are understood; any other name is an error that tells it and its place.
---
--- The tensors are on the cpu. Tensors that share a storage share memory. Integers become int32, truth values uint8,
--- floats float32, and quantised numbers the float32 that they stand for; what is out of range is refused. Of float32,
--- int32 and uint8 they are the file's own bytes where those are aligned, as of `lx.load`: nobody should write into the
--- file while they are in use.
---@param path string
---@param options? {key?: string, complex?: "pairs"} key: which part of the contents has the tensors, where there are several; complex: complex numbers become a last dimension of two, else they are refused
---@return table<string, Tensor>? tensors nil where the file cannot be read
---@return luxel.TorchInfo|string info or the message
---@return string? code "io", "format" for a file that is damaged, not of this kind or not understood, "memory"
function lx.io.torch.load(path, options) end

---@class lx.metrics
lx.metrics = {}

--- The share of images that are called right.
---@param scores number[]|luxel.Tensor one for each image, or what `confusion` gave, or a matrix of counts of many classes: rows are true, columns called classes
---@param labels? number[]|luxel.Tensor 1, 0, or NaN where there is none
---@param threshold? number? default 0.5
---@return number? share, string? message nil where there is nothing to divide by
function lx.metrics.accuracy(scores, labels, threshold) end

--- The area under the ROC curve (Hanley and McNeil 1982), ties counting half.
---@param scores number[]|luxel.Tensor one for each image, larger for the positive class
---@param labels number[]|luxel.Tensor 1, 0, or NaN where there is none
---@return number? auc, string? message nil where a class is absent
function lx.metrics.auc(scores, labels) end

--- The area under the risk-coverage curve: the mean risk over all numbers of images that may be answered (Geifman and
--- El-Yaniv, NeurIPS 2017). Less is better; a doubt that knows nothing has the share of errors.
---@param doubts number[]|luxel.Tensor one for each image, larger for those to leave to a person first
---@param errors number[]|luxel.Tensor 1 wrong, 0 right, NaN not known
---@return number? aurc, string? message
function lx.metrics.aurc(doubts, errors) end

--- The area below the steps of the precision-recall curve: the mean over the positive images of the precision at their
--- score, which does not interpolate (Davis and Goadrich, ICML 2006). A score that knows nothing has the share of
--- positives.
---@param scores number[]|luxel.Tensor one for each image, larger for the positive class
---@param labels number[]|luxel.Tensor 1, 0, or NaN where there is none
---@return number? average_precision, string? message nil where no image is positive
function lx.metrics.average_precision(scores, labels) end

--- The mean of sensitivity and specificity; of many classes the mean of their sensitivities (Brodersen, Ong, Stephan
--- and Buhmann, ICPR 2010).
---@param scores number[]|luxel.Tensor one for each image, or what `confusion` gave, or a matrix of counts of many classes: rows are true, columns called classes
---@param labels? number[]|luxel.Tensor 1, 0, or NaN where there is none
---@param threshold? number? default 0.5
---@return number? share, string? message nil where a class has no image
function lx.metrics.balanced_accuracy(scores, labels, threshold) end

--- A confidence interval by the percentile bootstrap (Efron, Annals of Statistics 7:1, 1979): of patients where
--- `options.groups` names each image's patient (images of one patient are not independent), else of images.
---@param fn fun(scores: number[], labels: number[]): number? the figure; a rate of lx.metrics, `auc`, `average_precision`, `brier`, `log_loss` and `aurc` are computed fast
---@param scores number[]|luxel.Tensor one for each image, larger for the positive class
---@param labels number[]|luxel.Tensor 1, 0, or NaN where there is none
---@param options? {groups?: (any)[]|false, n?: integer, seed?: integer, level?: number, threshold?: number, prevalence?: number} 1000 resamples, seed 1, level 0.95; threshold and prevalence: of rates
---@return number? low, number|string high nil and why where it is not defined (one class, one patient)
function lx.metrics.bootstrap(fn, scores, labels, options) end

--- The mean squared difference between probability and outcome (Brier, Monthly Weather Review 78:1, 1950). Of rows of
--- probabilities the sum over the classes, which for two of them is twice that of one.
---@param scores number[]|number[][]|luxel.Tensor probabilities of the positive class, or a row of all for each image
---@param labels number[]|luxel.Tensor 1, 0 (of rows class numbers from 0), or NaN where there is none
---@return number? brier, string? message
function lx.metrics.brier(scores, labels) end

--- The Brier score in parts: reliability (how far the shares of positives are from the probabilities; less is better) -
--- resolution (how far they are from one another; more is better) + uncertainty (of the labels, whatever the model
--- says) (Murphy, Journal of Applied Meteorology 12:595, 1973). Of bins in which probabilities differ there is a rest,
--- `within` (Stephenson, Coelho and Jolliffe, Weather and Forecasting 23:752, 2008).
---@param scores number[]|luxel.Tensor one for each image, the probability of the positive class
---@param labels number[]|luxel.Tensor 1, 0, or NaN where there is none
---@param n_bins? integer? default 15
---@param by? "width"|"mass"|"value"? as of `ece`; value: a bin for each probability that occurs, as Murphy has it
---@return {brier: number, reliability: number, resolution: number, uncertainty: number, within: number}? parts
---@return string? message
function lx.metrics.brier_decomposition(scores, labels, n_bins, by) end

--- The calibration error that a perfectly calibrated model with the same probabilities would show on as many images:
--- labels are drawn from the probabilities themselves (Bröcker and Smith, Weather and Forecasting 22:651, 2007). What
--- `ece` has beyond that is the model's.
---@param scores number[]|luxel.Tensor one for each image, the probability of the positive class
---@param labels number[]|luxel.Tensor only which are NaN counts: those images are left out
---@param n_bins? integer? default 15
---@param by? "width"|"mass"? as of `ece`
---@param options? {n?: integer, seed?: integer} how many times labels are drawn, default 1000; seed 1
---@return {mean: number, quantile: number, n: integer}? calibrated quantile: what 95 % of the errors stay below
---@return string? message
function lx.metrics.calibrated_ece(scores, labels, n_bins, by, options) end

--- The twelve figures of COCO's detection challenge (Lin et al. 2014): average precision, the mean over the thresholds
--- 0.5, 0.55 ... 0.95 of the overlap, at 0.5 and 0.75, and of small (area up to 32²), medium and large (from 96²)
--- objects; average recall with 1, 10 and 100 boxes an image, and by size. The means are over the classes that have
--- objects. Of boxes with one score the earlier image's, then the earlier one, comes first.
---@param truth {image: any, class: any, box: number[], area: number?, crowd: boolean?}[] box {x, y, w, h} in pixels; class by default 1; area by default w h; a crowd is no object of its own, but boxes inside it are not wrong
---@param detections {image: any, class: any, box: number[], score: number}[]
---@param options? {images?: (any)[]} images: all of them in their order; by default those of both lists, sorted
---@return {ap: number?, ap50: number?, ap75: number?, ap_small: number?, ap_medium: number?, ap_large: number?, ar1: number?, ar10: number?, ar100: number?, ar_small: number?, ar_medium: number?, ar_large: number?} figures nil each where there is no object to find
function lx.metrics.coco(truth, detections, options) end

--- True and false positives and negatives.
---@param scores number[]|luxel.Tensor
---@param labels number[]|luxel.Tensor
---@param threshold? number? default 0.5
---@return luxel.Confusion
function lx.metrics.confusion(scores, labels, threshold) end

--- Pointwise bands around the ROC curve (by false positive rate: vertical averaging of Fawcett, Pattern Recognition
--- Letters 27:861, 2006) and the precision-recall curve (by recall), by the percentile bootstrap of whole patients.
--- Each place has its own interval: the whole curve leaves the band more often.
---@param scores number[]|luxel.Tensor one for each image, larger for the positive class
---@param labels number[]|luxel.Tensor 1, 0, or NaN where there is none
---@param options? {groups?: (any)[]|false, points?: integer, n?: integer, seed?: integer, level?: number} groups: the patient of each image; n: resamples, default 200; points: places from 0 to 1, default 51
---@return {roc: {x: number[], low: number[], high: number[]}, precision_recall: {x: number[], low: number[], high: number[]}, units: integer, n: integer, level: number}? bands x: false positive rates, and recalls; units: patients or images that were drawn from
---@return string? message why nil: one class, or too few patients
function lx.metrics.curve_bands(scores, labels, options) end

--- The net benefit at many thresholds, beside that of calling every image positive; that of calling none is 0 (Vickers
--- and Elkin, Medical Decision Making 26:565, 2006). A model is of use where its own is above both.
---@param scores number[]|luxel.Tensor calibrated probabilities
---@param labels number[]|luxel.Tensor 1, 0, or NaN where there is none
---@param options? {thresholds?: (number)[], prevalence?: number} default 0.01, 0.02, ... 0.99, and the prevalence of the images
---@return {threshold: number, net_benefit: number, all: number}[]? points, string? message
function lx.metrics.decision_curve(scores, labels, options) end

--- The area under the ROC curve with DeLong's interval, cut to 0..1. It takes each image for a patient of its own;
--- where patients have several, `bootstrap` with `groups` is right.
---@param scores number[]|luxel.Tensor one for each image, larger for the positive class
---@param labels number[]|luxel.Tensor 1, 0, or NaN where there is none
---@param options? {level?: number} default 0.95
---@return {auc: number, low: number, high: number, deviation: number}? interval
---@return string? message why nil: fewer than two images of a class, or an area of 0 or 1
function lx.metrics.delong(scores, labels, options) end

--- Whether two scores of the same images differ in their areas under the ROC curve: DeLong's paired test, two-sided. It
--- takes each image for a patient of its own; where patients have several, `paired_bootstrap` with `groups` is right.
---@param scores_a number[]|luxel.Tensor of one model, one for each image, larger for the positive class
---@param scores_b number[]|luxel.Tensor of the other, of the same images in the same order
---@param labels number[]|luxel.Tensor 1, 0, or NaN where there is none
---@param options? {level?: number} of the interval of the difference, default 0.95
---@return {auc_a: number, auc_b: number, difference: number, low: number, high: number, z: number, p: number}? test
---@return string? message why nil: fewer than two images of a class, or both order all pairs alike
function lx.metrics.delong_test(scores_a, scores_b, labels, options) end

--- Average precision of boxes at one threshold of the overlap, the mean over the classes that have objects.
---
--- "coco": right from the threshold on, precision at the recalls 0, 0.01 ... 1. "voc" (Everingham et al. 2010): right
--- above the threshold, the whole area under the curve; "voc07" its means at the recalls 0, 0.1 ... 1, which are
--- compared as whole tenths: the program of that time misses some of them by rounding.
---@param truth {image: any, class: any, box: number[], area: number?, crowd: boolean?}[] as of `coco`; crowd for VOC's difficult objects too
---@param detections {image: any, class: any, box: number[], score: number}[]
---@param options? {images?: (any)[], iou?: number, rule?: "coco"|"voc"|"voc07"} iou: default 0.5; rule: default "coco"; images: as of `coco`
---@return number? ap nil where there is no object to find
---@return table<any, number>|string by_class each class's, or why nil
function lx.metrics.detection_ap(truth, detections, options) end

--- Average precision of boxes at one threshold of the overlap by COCO's rule, as `detection_ap` gives it, with an
--- interval by the percentile bootstrap of patients, where these are told, else of images. What boxes hit is settled
--- before; an image that is drawn twice counts twice.
---@param truth {image: any, class: any, box: number[], area: number?, crowd: boolean?}[] as of `coco`
---@param detections {image: any, class: any, box: number[], score: number}[]
---@param options? {images?: (any)[], iou?: number, patients?: table, n?: integer, seed?: integer, level?: number} iou: default 0.5; images: as of `coco`; patients: of each image; n, seed, level: as of `bootstrap`
---@return {value: number, low: number?, high: number?, units: integer}? ap units: how many patients were drawn from; no interval where there are fewer than two, or where most resamples have no object
---@return string? message why nil: there is no object to find
function lx.metrics.detection_ap_interval(truth, detections, options) end

--- The Dice coefficient of two masks, 2 |A ∩ B| / (|A| + |B|) (Dice, Ecology 26:297, 1945), over all elements together.
--- 1 where both are empty: nothing was there, and nothing was found.
---@param prediction Tensor of any shape, uint8 or int32 (not 0: inside) or float32 of 0 and 1
---@param target Tensor of the same shape
---@return number dice 0..1; NaN and other numbers in a float mask are an error
function lx.metrics.dice(prediction, target) end

--- The expected calibration error over bins (low, high] of the probability of the positive class (Guo et al., "On
--- calibration of modern neural networks", ICML 2017, who bin the probability of the predicted class instead), and the
--- bins, which draw the reliability diagram: mean probability (`confidence`) against the share of positives
--- (`frequency`), both nil in an empty bin. A perfectly calibrated model has an error above 0 as well:
--- `calibrated_ece`.
---@param scores number[]|luxel.Tensor one for each image, the probability of the positive class
---@param labels number[]|luxel.Tensor 1, 0, or NaN where there is none
---@param n_bins? integer? default 15
---@param by? "width"|"mass"? bins of equal width (the default), or of equally many images
---@return number? ece, table[]|string bins {low, high, count, confidence?, frequency?} each, or why nil
function lx.metrics.ece(scores, labels, n_bins, by) end

--- The harmonic mean of precision and sensitivity.
---@param scores number[]|luxel.Tensor one for each image, or what `confusion` gave
---@param labels? number[]|luxel.Tensor 1, 0, or NaN where there is none
---@param threshold? number? default 0.5
---@return number? share, string? message nil where there is nothing to divide by
function lx.metrics.f1(scores, labels, threshold) end

--- The report as text for a terminal.
---@param report luxel.Report
---@param class_names? string[]? negative and positive, default {"negative", "positive"}
---@return string
function lx.metrics.format_report(report, class_names) end

--- The free-response ROC curve (Bunch et al. 1978): at each score, how many false marks an image has on the average,
--- over all images, and which share of the lesions is found. A lesion that is marked twice counts once.
---@param images {lesions: integer, marks: {score: number, lesion: integer?}[]}[] as `lesion_marks` gives them; a mark without a lesion is false
---@return {threshold: number, false_positives: number, sensitivity: number}[]? points from the highest score down
---@return string? message why nil: there is no lesion
function lx.metrics.froc(images) end

--- Sensitivities at rates of false marks for each image, as `froc_sensitivity` gives them, with intervals by the
--- percentile bootstrap of patients, where images have a `patient`, else of images.
---@param images {lesions: integer, marks: table[], patient: any}[] as of `froc`
---@param options? {rates?: (number)[], n?: integer, seed?: integer, level?: number} rates: rising, default 1/8, 1/4 ... 8; n, seed, level: as of `bootstrap`
---@return {mean: number, points: {rate: number, sensitivity: number, low: number?, high: number?}[], units: integer}? figures mean: of the sensitivities; units: how many patients were drawn from; no interval where there are fewer than two, or where most resamples have no lesion
---@return string? message why nil: there is no lesion
function lx.metrics.froc_intervals(images, options) end

--- Sensitivities at rates of false marks for each image, and their mean: by default at 1/8, 1/4 ... 8, whose mean is
--- the competition performance metric (Niemeijer et al. 2011). At a rate the curve is what it is at the last score with
--- at most so many, without a line between points.
---@param images table[] as of `froc`
---@param rates? number[]? rising
---@return number? mean, number[]|string sensitivities one for each rate, or why nil
function lx.metrics.froc_sensitivity(images, rates) end

--- Intersection over union of two masks, |A ∩ B| / |A ∪ B| (Jaccard, New Phytologist 11:37, 1912), over all elements
--- together. 1 where both are empty, as of `dice`.
---@param prediction Tensor of any shape, uint8 or int32 (not 0: inside) or float32 of 0 and 1
---@param target Tensor of the same shape
---@return number iou 0..1; NaN and other numbers in a float mask are an error
function lx.metrics.iou(prediction, target) end

--- The jackknife free-response figure of merit (Chakraborty and Berbaum 2004): the chance that a lesion is rated above
--- an image without lesions, whose rating is that of its highest mark; what has no mark is rated below all. With an
--- interval by the percentile bootstrap of patients, where images have a `patient`, else of images.
---@param images {lesions: integer, marks: table[], patient: any}[] as of `froc`
---@param options? {n?: integer, seed?: integer, level?: number} as of `bootstrap`
---@return {value: number, low: number?, high: number?, units: integer?}? figure units: how many patients were drawn from; no interval where that is not defined
---@return string? message why nil: no image with lesions, or none without
function lx.metrics.jafroc(images, options) end

--- Cohen's kappa: how much of the agreement between what is and what is called is not by chance, up to 1 (Cohen,
--- Educational and Psychological Measurement 20:37, 1960).
---@param scores number[]|luxel.Tensor one for each image, or what `confusion` gave, or a matrix of counts of many classes: rows are true, columns called classes
---@param labels? number[]|luxel.Tensor 1, 0, or NaN where there is none
---@param threshold? number? default 0.5
---@return number? kappa, string? message nil where all images are of one class and called to be
function lx.metrics.kappa(scores, labels, threshold) end

--- Which marks hit which lesions, for `froc` and `jafroc`: by the rule "centre" a mark hits the box that its centre
--- lies in (edges included; of several, the one that it overlaps most), by a number that box, if the overlap is at
--- least so much. Classes have to be the same.
---@param truth {image: any, class: any, box: number[]}[]
---@param detections {image: any, class: any, box: number[], score: number}[]
---@param options? {images?: (any)[], rule?: "centre"|number, patients?: table} images: all of them, also those without lesions and marks; by default those of both lists; rule: default "centre"; patients: of each image
---@return {image: any, patient: any, lesions: integer, marks: {score: number, lesion: integer?}[]}[] images
function lx.metrics.lesion_marks(truth, detections, options) end

--- The mean of -ln of the probability of what was the case, probabilities cut to between 2^-52 and 1 - 2^-52.
---@param scores number[]|number[][]|luxel.Tensor probabilities of the positive class, or a row of all for each image
---@param labels number[]|luxel.Tensor 1, 0 (of rows class numbers from 0), or NaN where there is none
---@return number? log_loss, string? message
function lx.metrics.log_loss(scores, labels) end

--- The mean of a figure over classes or labels, each of which counts the same. Where it is not defined for one (no
--- image of it, say), that one is left out.
---@param fn fun(scores: number[], labels: number[], threshold: number?): number? such as `metrics.f1`
---@param scores number[][]|luxel.Tensor a row for each image
---@param labels number[]|number[][]|luxel.Tensor class numbers from 0, or rows of 0, 1 and NaN
---@param threshold? number? of rates of several labels, default 0.5; of classes the one of the largest probability is called
---@return number? mean, integer|string count of how many it is the mean, or why nil
function lx.metrics.macro(fn, scores, labels, threshold) end

--- Matthews' correlation of what is and what is called, from -1 to 1 (Matthews, BBA 405:442, 1975; of many classes
--- Gorodkin, Computational Biology and Chemistry 28:367, 2004).
---@param scores number[]|luxel.Tensor one for each image, or what `confusion` gave, or a matrix of counts of many classes: rows are true, columns called classes
---@param labels? number[]|luxel.Tensor 1, 0, or NaN where there is none
---@param threshold? number? default 0.5
---@return number? mcc, string? message nil where all images are of one class, or called to be
function lx.metrics.mcc(scores, labels, threshold) end

--- The mean of a figure that each image has, with an interval by the percentile bootstrap, of patients where
--- `options.groups` tells them.
---@param values number[]|luxel.Tensor one for each image; NaN is refused
---@param options? {groups?: (any)[]|false, n?: integer, seed?: integer, level?: number} groups: the patient of each; else as of `report`
---@return {mean: number, low: number?, high: number?, images: integer, units: integer} mean units: patients, or images where nothing tells them; low and high are nil where there are fewer than two, or all values agree
function lx.metrics.mean(values, options) end

--- A figure of the images of all classes or labels together, as if each were a question of its own: those of many
--- images count for more.
---@param fn fun(scores: number[], labels: number[], threshold: number?): number? such as `metrics.f1`
---@param scores number[][]|luxel.Tensor a row for each image
---@param labels number[]|number[][]|luxel.Tensor class numbers from 0, or rows of 0, 1 and NaN
---@param threshold? number? as of `macro`
---@return number? value, string? message
function lx.metrics.micro(fn, scores, labels, threshold) end

--- What calling at a probability is worth: found positives in each image, less false alarms at the odds of the
--- threshold, which says how many false alarms one miss weighs (Vickers and Elkin, Medical Decision Making 26:565,
--- 2006). Beside it stand calling nobody, 0, and everybody: `decision_curve` has all.
---@param scores number[]|luxel.Tensor calibrated probabilities, or what `confusion` gave
---@param labels? number[]|luxel.Tensor 1, 0, or NaN where there is none
---@param threshold? number? from 0 to 1, default 0.5
---@param prevalence? number? default that of the images
---@return number? net_benefit, string? message nil where there is nothing to divide by, or the threshold is 1
function lx.metrics.net_benefit(scores, labels, threshold, prevalence) end

--- The share of the images called negative that are (negative predictive value), among these images or where a share
--- `prevalence` is positive, as of `precision`.
---@param scores number[]|luxel.Tensor one for each image, or what `confusion` gave
---@param labels? number[]|luxel.Tensor 1, 0, or NaN where there is none
---@param threshold? number? default 0.5
---@param prevalence? number? default that of the images
---@return number? share, string? message nil where there is nothing to divide by
function lx.metrics.npv(scores, labels, threshold, prevalence) end

--- The difference of a figure between two scores of the same images, a - b, with an interval by the percentile
--- bootstrap of pairs: each resample of patients is the same for both.
---@param fn fun(scores: number[], labels: number[]): number? as of `bootstrap`
---@param scores_a number[]|luxel.Tensor of one model, one for each image
---@param scores_b number[]|luxel.Tensor of the other, of the same images in the same order
---@param labels number[]|luxel.Tensor 1, 0, or NaN where there is none
---@param options? {groups?: (any)[]|false, n?: integer, seed?: integer, level?: number, threshold?: number, prevalence?: number} as of `bootstrap`
---@return {a: number, b: number, difference: number, low: number, high: number, p: number, units: integer}? difference p: two-sided, twice the share of resamples on the rarer side of 0 (Davison and Hinkley, "Bootstrap methods", 1997); units: patients, or images where nothing tells them
---@return string? message why nil: not defined on the images or most resamples, one class, one patient
function lx.metrics.paired_bootstrap(fn, scores_a, scores_b, labels, options) end

--- The share of the images called positive that are (positive predictive value), among these images or, by Bayes'
--- theorem, where a share `prevalence` is positive (Altman and Bland, BMJ 309:102, 1994).
---@param scores number[]|luxel.Tensor one for each image, or what `confusion` gave
---@param labels? number[]|luxel.Tensor 1, 0, or NaN where there is none
---@param threshold? number? default 0.5
---@param prevalence? number? default that of the images
---@return number? share, string? message nil where there is nothing to divide by
function lx.metrics.precision(scores, labels, threshold, prevalence) end

--- The precision-recall curve from the highest score down, one point for each distinct score after the one of recall 0,
--- whose precision is 1 by convention.
---@param scores number[]|luxel.Tensor one for each image, larger for the positive class
---@param labels number[]|luxel.Tensor 1, 0, or NaN where there is none
---@return {recall: number, precision: number, threshold: number}[]? points, string? message
function lx.metrics.precision_recall(scores, labels) end

--- All figures of one evaluation, with bootstrap intervals of most, of whole patients where `groups` tells them. Rows
--- of scores with one class number for each image (from 0) give a report of many classes; rows with rows of labels one
--- of several labels.
---@param scores number[]|number[][]|luxel.Tensor one for each image, larger for the positive class
---@param labels number[]|number[][]|luxel.Tensor 1, 0, or NaN where there is none
---@param options? {threshold?: number|(number)[], groups?: (any)[]|false, classes?: (string)[], prevalence?: number, n?: integer, seed?: integer, level?: number} threshold: of several labels one for each, or for all; classes: names of classes or labels; prevalence: at which precision and npv are given, default that of the images
---@return luxel.Report|luxel.ClassesReport|luxel.LabelsReport
function lx.metrics.report(scores, labels, options) end

--- The share of wrong answers when the least doubtful share of the images is answered.
---@param doubts number[]|luxel.Tensor one for each image, larger for those to leave to a person first
---@param errors number[]|luxel.Tensor 1 wrong, 0 right, NaN not known
---@param coverage number above 0 and up to 1: the share that is answered, at least
---@return number? risk, number|string doubt the largest that is answered, or why nil
function lx.metrics.risk_at_coverage(doubts, errors, coverage) end

--- The share of wrong answers (risk) among the share of images that are answered (coverage), those up to each doubt
--- (El-Yaniv and Wiener, JMLR 11:1605, 2010).
---@param doubts number[]|luxel.Tensor one for each image, larger for those to leave to a person first
---@param errors number[]|luxel.Tensor 1 wrong, 0 right, NaN not known
---@return {coverage: number, risk: number, doubt: number}[]? points one for each distinct doubt, ascending
---@return string? message
function lx.metrics.risk_coverage(doubts, errors) end

--- The ROC curve, from (0, 0) to (1, 1), one point for each distinct score.
---@param scores number[]|luxel.Tensor one for each image, larger for the positive class
---@param labels number[]|luxel.Tensor 1, 0, or NaN where there is none
---@return {fpr: number, tpr: number, threshold: number}[]? points, string? message
function lx.metrics.roc(scores, labels) end

--- The share of the positive images that are called positive (recall, true positive rate).
---@param scores number[]|luxel.Tensor one for each image, or what `confusion` gave
---@param labels? number[]|luxel.Tensor 1, 0, or NaN where there is none
---@param threshold? number? default 0.5
---@return number? share, string? message nil where there is nothing to divide by
function lx.metrics.sensitivity(scores, labels, threshold) end

--- An interval of the share of images for which something is so, by the percentile bootstrap.
---@param flags integer[] 1 or 0 of each image
---@param groups? any[]|false? the patient of each
---@param options? {n?: integer, seed?: integer, level?: number} as of `report`
---@return number? low, number|string high
function lx.metrics.share_interval(flags, groups, options) end

--- The share of the negative images that are called negative (true negative rate).
---@param scores number[]|luxel.Tensor one for each image, or what `confusion` gave
---@param labels? number[]|luxel.Tensor 1, 0, or NaN where there is none
---@param threshold? number? default 0.5
---@return number? share, string? message nil where there is nothing to divide by
function lx.metrics.specificity(scores, labels, threshold) end

--- The threshold of the least expected cost: `miss` for each positive image that is not called, `false_alarm` for each
--- negative one that is, where a share `prevalence` is positive. Of equally good ones the most sensitive. (Calibrated
--- probabilities tend to false_alarm / (false_alarm + miss): Elkan, IJCAI 2001.)
---@param scores number[]|luxel.Tensor one for each image, larger for the positive class
---@param labels number[]|luxel.Tensor 1, 0, or NaN where there is none
---@param options {miss: number, false_alarm?: number, prevalence?: number} false_alarm: default 1; prevalence: default that of the images
---@return number? threshold infinite where calling nobody costs least
---@return {sensitivity: number, specificity: number, cost: number}|string point the rates at it and the cost of an image, or why nil
function lx.metrics.threshold_at_cost(scores, labels, options) end

--- The highest threshold whose sensitivity is at least `sensitivity` (0..1).
---@param scores number[]|luxel.Tensor one for each image, larger for the positive class
---@param labels number[]|luxel.Tensor 1, 0, or NaN where there is none
---@param sensitivity number 0..1
---@return number? threshold, {sensitivity: number, specificity: number}|string point the rates at it, or why nil
function lx.metrics.threshold_at_sensitivity(scores, labels, sensitivity) end

--- The lowest threshold whose specificity is at least `specificity`.
---@param scores number[]|luxel.Tensor one for each image, larger for the positive class
---@param labels number[]|luxel.Tensor 1, 0, or NaN where there is none
---@param specificity number above 0 and up to 1
---@return number? threshold infinite where only calling nobody is so specific
---@return {sensitivity: number, specificity: number}|string point the rates at it, or why nil
function lx.metrics.threshold_at_specificity(scores, labels, specificity) end

--- The threshold of the largest sensitivity + specificity - 1 (Youden, Cancer 3:32, 1950). Of equally good ones the
--- most sensitive.
---@param scores number[]|luxel.Tensor one for each image, larger for the positive class
---@param labels number[]|luxel.Tensor 1, 0, or NaN where there is none
---@return number? threshold, {sensitivity: number, specificity: number}|string point the rates at it, or why nil
function lx.metrics.youden(scores, labels) end

---@class lx.models
lx.models = {}

--- A convolutional autoencoder (Masci et al. 2011): 3×3 convolutions, ReLU and 2×2 max-pooling, and the same way back.
---@param options? {widths?: (integer)[], channels?: integer, size?: integer} channels of the images: default 1; size: is only checked; widths: channels after each pooling, default {32, 64, 128, 16}
---@return Module net [N,channels,H,W] to [N,channels,H,W]
function lx.models.autoencoder(options) end

--- A network by its name, as a model's file gives it.
---@param name string one of `models.names()`
---@param options? table? as of the network itself: outputs, channels, size and others
---@return Module
function lx.models.build(name, options) end

--- Four 3×3 convolutions (32, 64, 128, 128 channels), each with ReLU and 2×2 max-pooling, then 512 features.
---@param options? {outputs?: integer, pretrained?: string, source?: string, head?: "replace", channels?: integer, size?: integer} size: side of the images in pixels, at least 16, default 128; outputs: default 1; channels of the images: default 1
---@return Module net [N,channels,size,size] to [N,outputs]
function lx.models.cnn(options) end

--- DenseNet-121 (Huang et al. 2017), with 14 outputs the network of CheXNet (Rajpurkar et al. 2017).
---@param options? {outputs?: integer, pretrained?: string, source?: string, head?: "replace", channels?: integer, size?: integer}
---@return Module net [N,channels,H,W] to [N,outputs]
function lx.models.densenet121(options) end

--- DenseNet-169 (Huang et al. 2017).
---@param options? {outputs?: integer, pretrained?: string, source?: string, head?: "replace", channels?: integer, size?: integer}
---@return Module net [N,channels,H,W] to [N,outputs]
function lx.models.densenet169(options) end

--- EfficientNet-B0 (Tan and Le 2019).
---@param options? {outputs?: integer, dropout?: number, drop_path?: number, pretrained?: string, source?: string, head?: "replace", channels?: integer, size?: integer} outputs, channels: default 1; size: is only checked; dropout: before the last layer while training, default 0.2; drop_path: how often the last block is left out for an image while training, default 0.2; those before it less often
---@return Module net [N,channels,H,W] to [N,outputs]
function lx.models.efficientnet_b0(options) end

--- EfficientNet-Lite0 (Google 2020), without squeeze and excitation.
---@param options? {outputs?: integer, dropout?: number, variant?: "tf", pretrained?: string, source?: string, head?: "replace", channels?: integer, size?: integer} outputs, channels: default 1; size: is only checked; dropout: before the last layer while training, default 0.2; variant: "tf" computes as the weights that were trained in TensorFlow want it, with its padding and eps 1e-3
---@return Module net [N,channels,H,W] to [N,outputs]
function lx.models.efficientnet_lite0(options) end

--- LeNet-5 (LeCun et al. 1998), for images of one size.
---@param options? {outputs?: integer, pretrained?: string, source?: string, head?: "replace", channels?: integer, size?: integer} size: side of the images in pixels, default 32; outputs: default 1; channels of the images: default 1
---@return Module net [N,channels,size,size] to [N,outputs]
function lx.models.lenet(options) end

--- Between which sides the images of a network may be.
---@param name string one of `models.names()`
---@return integer smallest, integer largest in pixels
function lx.models.limits(name) end

--- MobileNetV2 (Sandler et al. 2018) of width 1.
---@param options? {outputs?: integer, dropout?: number, pretrained?: string, source?: string, head?: "replace", channels?: integer, size?: integer}
---@return Module net [N,channels,H,W] to [N,outputs]
function lx.models.mobilenet_v2(options) end

--- MobileNetV3-Large (Howard et al. 2019) of width 1.
---@param options? {outputs?: integer, dropout?: number, pretrained?: string, source?: string, head?: "replace", channels?: integer, size?: integer}
---@return Module net [N,channels,H,W] to [N,outputs]
function lx.models.mobilenet_v3_large(options) end

--- MobileNetV3-Small (Howard et al. 2019) of width 1.
---@param options? {outputs?: integer, dropout?: number, pretrained?: string, source?: string, head?: "replace", channels?: integer, size?: integer}
---@return Module net [N,channels,H,W] to [N,outputs]
function lx.models.mobilenet_v3_small(options) end

--- The names of the networks, in order.
---@param kind? "classifier"|"segmentation"|"autoencoder"|"detector"? those alone
---@return string[]
function lx.models.names(kind) end

--- ResNet-101 (He et al. 2016): 33 bottlenecks.
---@param options? {outputs?: integer, pretrained?: string, source?: string, head?: "replace", channels?: integer, size?: integer}
---@return Module net [N,channels,H,W] to [N,outputs]
function lx.models.resnet101(options) end

--- ResNet-18 (He et al. 2016): 8 blocks of two 3×3 convolutions.
---@param options? {outputs?: integer, pretrained?: string, source?: string, head?: "replace", channels?: integer, size?: integer}
---@return Module net [N,channels,H,W] to [N,outputs]
function lx.models.resnet18(options) end

--- ResNet-34 (He et al. 2016): 16 blocks of two 3×3 convolutions.
---@param options? {outputs?: integer, pretrained?: string, source?: string, head?: "replace", channels?: integer, size?: integer}
---@return Module net [N,channels,H,W] to [N,outputs]
function lx.models.resnet34(options) end

--- ResNet-50 (He et al. 2016): 16 bottlenecks.
---@param options? {outputs?: integer, pretrained?: string, source?: string, head?: "replace", channels?: integer, size?: integer}
---@return Module net [N,channels,H,W] to [N,outputs]
function lx.models.resnet50(options) end

--- Writes a network with pretrained weights as a model's file, with which `lx.predictor` answers. What its outputs are
--- is told by the file of the weights, or by `classes`: labels that do not exclude each other. Labels of
--- torchxrayvision are calibrated by their operating points, and those that it did not train are always 0.5, and never
--- positive.
---@param path string
---@param net Module with `net.pretrained`
---@param options {size: integer, classes?: (string)[]} size: side to which images are resized, in pixels
---@return boolean? ok, string? message, string? code
function lx.models.save(path, net, options) end

--- SqueezeNet 1.0 (Iandola et al. 2016). The last convolution has a ReLU as in the paper: logits are never negative.
---@param options? {outputs?: integer, dropout?: number, pretrained?: string, source?: string, head?: "replace", channels?: integer, size?: integer}
---@return Module net [N,channels,H,W] to [N,outputs]
function lx.models.squeezenet1_0(options) end

--- SqueezeNet 1.1: 2.4 times less arithmetic than 1.0. Logits are never negative.
---@param options? {outputs?: integer, dropout?: number, pretrained?: string, source?: string, head?: "replace", channels?: integer, size?: integer}
---@return Module net [N,channels,H,W] to [N,outputs]
function lx.models.squeezenet1_1(options) end

--- U-Net (Ronneberger et al. 2015), or its way up over the maps of another network, by nearest neighbours, with two
--- convolutions and batch normalisation at each resolution.
---@param options? {outputs?: integer, encoder?: string, depth?: integer, width?: integer, padding?: "same"|"valid", batch_norm?: boolean, channels?: integer, size?: integer} outputs: maps that it gives, default 1; channels: of the images, default 1; size: is only checked; encoder: a network of `lx.models` that tells classes, by its name, whose maps the way up joins; depth, width, padding and batch_norm are then refused; depth: poolings, default 4; width: channels at the resolution of the images, default 64; padding: "same" (the default) keeps the size, "valid" is the paper's, where 572×572 pixels become 388×388; batch_norm: before each ReLU, default false as in the paper
---@return Module net [N,channels,H,W] to [N,outputs,H,W]
function lx.models.unet(options) end

--- VGG-11 (Simonyan and Zisserman 2015, A).
---@param options? {outputs?: integer, dropout?: number, pretrained?: string, source?: string, head?: "replace", channels?: integer, size?: integer}
---@return Module net [N,channels,H,W] to [N,outputs]
function lx.models.vgg11(options) end

--- VGG-11 with batch normalisation after each convolution.
---@param options? {outputs?: integer, dropout?: number, pretrained?: string, source?: string, head?: "replace", channels?: integer, size?: integer}
---@return Module net [N,channels,H,W] to [N,outputs]
function lx.models.vgg11_bn(options) end

--- VGG-13 (Simonyan and Zisserman 2015, B).
---@param options? {outputs?: integer, dropout?: number, pretrained?: string, source?: string, head?: "replace", channels?: integer, size?: integer}
---@return Module net [N,channels,H,W] to [N,outputs]
function lx.models.vgg13(options) end

--- VGG-13 with batch normalisation after each convolution.
---@param options? {outputs?: integer, dropout?: number, pretrained?: string, source?: string, head?: "replace", channels?: integer, size?: integer}
---@return Module net [N,channels,H,W] to [N,outputs]
function lx.models.vgg13_bn(options) end

--- VGG-16 (Simonyan and Zisserman 2015, D).
---@param options? {outputs?: integer, dropout?: number, pretrained?: string, source?: string, head?: "replace", channels?: integer, size?: integer}
---@return Module net [N,channels,H,W] to [N,outputs]
function lx.models.vgg16(options) end

--- VGG-16 with batch normalisation after each convolution.
---@param options? {outputs?: integer, dropout?: number, pretrained?: string, source?: string, head?: "replace", channels?: integer, size?: integer}
---@return Module net [N,channels,H,W] to [N,outputs]
function lx.models.vgg16_bn(options) end

--- VGG-19 (Simonyan and Zisserman 2015, E).
---@param options? {outputs?: integer, dropout?: number, pretrained?: string, source?: string, head?: "replace", channels?: integer, size?: integer}
---@return Module net [N,channels,H,W] to [N,outputs]
function lx.models.vgg19(options) end

--- VGG-19 with batch normalisation after each convolution.
---@param options? {outputs?: integer, dropout?: number, pretrained?: string, source?: string, head?: "replace", channels?: integer, size?: integer}
---@return Module net [N,channels,H,W] to [N,outputs]
function lx.models.vgg19_bn(options) end

--- A small detector of one map for radiographs: the maps of a classifier, the coarsest beside the one of the wanted
--- stride, two 3×3 convolutions, and the numbers of a region layer.
---@param options? {outputs?: integer, anchors?: (table)[], backbone?: string, stride?: 8|16|32, width?: integer, pretrained?: string, source?: string, variant?: "tf", channels?: integer, size?: integer} outputs: classes of objects, default 1; channels: of the images, default 1; size: is only checked; anchors: {width, height} each in cells, default three squares of 2, 4 and 7; backbone: a classifier of `lx.models`, default "efficientnet_lite0"; stride: pixels from cell to cell, default 16; sides that it divides waste nothing; width: channels of the convolutions, default 128; pretrained, source, variant: a file of weights for the backbone, as classifiers take it
---@return Module? net [N,channels,H,W] to [N,anchors (5 + outputs),H/stride,W/stride]; nil where the file does not fit
---@return string? message, string? code
function lx.models.yolo_lite(options) end

--- YOLOv2 (Redmon and Farhadi 2017): Darknet-19 with a passthrough, as yolov2-voc.cfg of darknet.
---@param options? {outputs?: integer, anchors?: (table)[], channels?: integer, size?: integer} outputs: classes of objects, default 20; channels: of the images, default 3; size: side of the images in pixels, a multiple of 32, default 416; others may do; anchors: {width, height} each in cells of 32 pixels, default those found for Pascal VOC
---@return Module net [N,channels,H,W] of 0 to 1 to [N,anchors (5 + outputs),H/32,W/32]
function lx.models.yolov2(options) end

--- Tiny-YOLOv2, as yolov2-tiny-voc.cfg of darknet.
---@param options? {outputs?: integer, anchors?: (table)[], channels?: integer, size?: integer} as of `yolov2`
---@return Module net [N,channels,H,W] of 0 to 1 to [N,anchors (5 + outputs),H/32,W/32]
function lx.models.yolov2_tiny(options) end

--- YOLOv3-tiny (Redmon and Farhadi 2018), as yolov3-tiny.cfg of darknet: two maps, which `lx.vision.boxes.decode_yolo`
--- reads by `net.detections[i].anchors`; `F.yolo_loss` is the loss of each, with `anchors` and `own` of
--- `net.detections[i].all` and `own`. `lx.train.fit` does that by itself.
---@param options? {outputs?: integer, anchors?: (table)[], channels?: integer, size?: integer} outputs: classes of objects, default 80; channels: default 3; size: a multiple of 32, default 416; anchors: six {width, height} in pixels, the first three for the finer map; default those found for COCO
---@return Module net [N,channels,H,W] of 0 to 1 to two maps, [N,3 (5 + outputs),H/32,W/32] and [N,3 (5 + outputs),H/16,W/16]
function lx.models.yolov3_tiny(options) end

---@class lx.nn
lx.nn = {}

---@class AdaptiveAvgPool1d: Module

--- `nn.AdaptiveAvgPool1d(7)`: [N,C,L] to [N,C,7] by means.
---@param size integer
---@return AdaptiveAvgPool1d
function lx.nn.AdaptiveAvgPool1d(size) end

---@class AdaptiveAvgPool2d: Module

--- `nn.AdaptiveAvgPool2d(7)`: [N,C,H,W] to [N,C,7,7] by means.
---@param size integer|integer[]
---@return AdaptiveAvgPool2d
function lx.nn.AdaptiveAvgPool2d(size) end

---@class AvgPool1d: Module

--- `nn.AvgPool1d(2)`: the mean of each window of [N,C,L].
---@param kernel integer
---@param options? {stride?: integer, padding?: integer, count_include_pad?: boolean}
---@return AvgPool1d
function lx.nn.AvgPool1d(kernel, options) end

---@class AvgPool2d: Module

--- `nn.AvgPool2d(2)`: the mean of each window of [N,C,H,W].
---@param kernel integer|integer[]
---@param options? {stride?: integer|integer[], padding?: integer|integer[], count_include_pad?: boolean}
---@return AvgPool2d
function lx.nn.AvgPool2d(kernel, options) end

---@class BCEWithLogitsLoss: Module

--- Binary cross-entropy of logits. Elements whose target is NaN (a missing label) count for nothing.
---@param options? {pos_weight?: number|Tensor, reduction?: "mean"|"sum"|"none"} pos_weight: multiplies the loss of the positives, a number, or [C] for the last dimension; reduction: default "mean", which is over the targets present
---@return BCEWithLogitsLoss
function lx.nn.BCEWithLogitsLoss(options) end

---@class BatchNorm1d: Module
---@field weight Tensor? [channels]
---@field bias Tensor? [channels]
---@field running_mean Tensor? [channels]
---@field running_var Tensor? [channels]

--- `nn.BatchNorm1d(64)`: as BatchNorm2d, for [N,channels] and [N,channels,L].
---@param channels integer
---@param options? {eps?: number, momentum?: number|boolean, affine?: boolean, track_running_stats?: boolean} eps: default 1e-5; momentum: default 0.1; false keeps a plain average of all batches; affine, track_running_stats: default true
---@return BatchNorm1d
function lx.nn.BatchNorm1d(channels, options) end

---@class BatchNorm2d: Module
---@field weight Tensor? [channels]
---@field bias Tensor? [channels]
---@field running_mean Tensor? [channels]
---@field running_var Tensor? [channels]
local BatchNorm2d = {}

--- `nn.BatchNorm2d(64)`: normalises each channel of [N,channels,H,W], by the batch while training, by running
--- statistics after `eval()`.
---@param channels integer
---@param options? {eps?: number, momentum?: number|boolean, affine?: boolean, track_running_stats?: boolean} eps: default 1e-5; momentum: default 0.1; false keeps a plain average of all batches; affine, track_running_stats: default true
---@return BatchNorm2d
function lx.nn.BatchNorm2d(channels, options) end

---@class Conv1d: Module
---@field weight Tensor [out_channels, in_channels/groups, K]
---@field bias Tensor? [out_channels]

--- `nn.Conv1d(1, 32, 5, {padding = 2})`: convolution of [N,in_channels,L]; see `F.conv1d` for the resulting size.
---@param in_channels integer
---@param out_channels integer
---@param kernel integer
---@param options? {stride?: integer, padding?: integer|"same", dilation?: integer, groups?: integer, bias?: boolean}
---@return Conv1d
function lx.nn.Conv1d(in_channels, out_channels, kernel, options) end

---@class Conv2d: Module
---@field weight Tensor [out_channels, in_channels/groups, KH, KW]
---@field bias Tensor? [out_channels]

--- `nn.Conv2d(1, 32, 3, {padding = 1})`: convolution of [N,in_channels,H,W]; see `F.conv2d` for the resulting size.
---@param in_channels integer
---@param out_channels integer
---@param kernel integer|integer[]
---@param options? {stride?: integer|integer[], padding?: integer|integer[]|"same", dilation?: integer|integer[], groups?: integer, bias?: boolean} stride, dilation, groups: default 1; padding: default 0; "same" keeps the size, at stride 1; bias: default true
---@return Conv2d
function lx.nn.Conv2d(in_channels, out_channels, kernel, options) end

---@class ConvTranspose2d: Module
---@field weight Tensor [in_channels, out_channels/groups, KH, KW]
---@field bias Tensor? [out_channels]

--- `nn.ConvTranspose2d(64, 32, 2, {stride = 2})`; see `F.conv_transpose2d`.
---@param in_channels integer
---@param out_channels integer
---@param kernel integer|integer[]
---@param options? {stride?: integer|integer[], padding?: integer|integer[], output_padding?: integer|integer[], dilation?: integer|integer[], groups?: integer, bias?: boolean}
---@return ConvTranspose2d
function lx.nn.ConvTranspose2d(in_channels, out_channels, kernel, options) end

---@class CrossEntropyLoss: Module

--- Cross-entropy of logits over classes (dimension 2).
---@param options? {weight?: Tensor, label_smoothing?: number, ignore_index?: integer, reduction?: "mean"|"sum"|"none"} weight: [C] per class, by which the mean is weighted; label_smoothing: as in Szegedy et al. 2016, default 0; reduction: default "mean", over the targets present
---@return CrossEntropyLoss
function lx.nn.CrossEntropyLoss(options) end

---@class DarknetBatchNorm2d: Module
---@field root "inside"|"outside"
local DarknetBatchNorm2d = {}

--- `nn.DarknetBatchNorm2d(64)`: batch normalisation of [N,channels,H,W] as darknet has it, which while training divides
--- by the root of the *unbiased* variance of the batch, sum((x - mean)²) / (NHW - 1), not of the biased one as
--- `BatchNorm2d` and the paper.
---@param channels integer
---@param options? {root?: "inside"|"outside", eps?: number, momentum?: number|boolean} root: "inside" (the default) divides by sqrt(var + eps), as GPU builds of darknet do, whose weights are published; "outside" by sqrt(var) + eps, as its CPU build does; eps: default 1e-5 inside, 1e-6 outside; momentum: default 0.1; darknet of before the forks has 0.01
---@return DarknetBatchNorm2d
function lx.nn.DarknetBatchNorm2d(channels, options) end

---@class DarknetMaxPool2d: Module

--- `nn.DarknetMaxPool2d(2)`: the largest value of each window of [N,C,H,W], where the padding is that of both sides
--- together, of which the smaller half stands left and above: windows of 2 at stride 1 keep the size, and at stride 2
--- make 7 of 13. What is outside the image is in no window.
---@param kernel integer
---@param options? {stride?: integer, padding?: integer} stride defaults to the kernel; padding, less than twice the kernel, to the kernel less 1
---@return DarknetMaxPool2d
function lx.nn.DarknetMaxPool2d(kernel, options) end

---@class DiceLoss: Module

--- Dice loss of masks (Milletari et al. 2016): 1 - (2 sum(p t) + smooth) / (sum(p^2) + sum(t^2) + smooth) for each
--- image and channel, with p = sigmoid(x). Pixels whose target is NaN count for nothing.
---@param options? {smooth?: number, squared?: boolean, reduction?: "mean"|"sum"|"none"} smooth: keeps empty masks from 0 / 0, default 1; squared: default true; without it p and t themselves are summed, the common definition besides the paper's; reduction: default "mean"
---@return DiceLoss
function lx.nn.DiceLoss(options) end

---@class Dropout: Module

--- While training, zeroes each element with probability p and scales the others by 1/(1-p).
---@param p? number? 0.5
---@return Dropout
function lx.nn.Dropout(p) end

---@class Dropout2d: Module

--- The same for whole channels of images.
---@param p? number? 0.5
---@return Dropout2d
function lx.nn.Dropout2d(p) end

---@class Embedding: Module
---@field weight Tensor [count, size]

--- `nn.Embedding(100, 16)`: int32 indices [...] from 1 to `count`, to vectors [...,size].
---@param count integer
---@param size integer
---@return Embedding
function lx.nn.Embedding(count, size) end

---@class Flatten: Module

--- `nn.Flatten()`: [N,...] to [N,features].
---@param first? integer? the first dimension to merge, 2
---@param last? integer? the last, -1
---@return Flatten
function lx.nn.Flatten(first, last) end

---@class FocalLoss: Module

--- Sigmoid focal loss (Lin et al. 2017). Elements whose target is NaN count for nothing.
---@param options? {alpha?: number, gamma?: number, reduction?: "mean"|"sum"|"none"} alpha: default 0.25; negative for no balancing; gamma: default 2; reduction: default "mean"
---@return FocalLoss
function lx.nn.FocalLoss(options) end

---@class GELU: Module

--- x times the normal distribution function of x (Hendrycks and Gimpel 2016), by erf, not the tanh approximation.
---@return GELU
function lx.nn.GELU() end

---@class GRU: Module

--- `nn.GRU(32, 64)`: gated recurrent units (Cho et al. 2014), in PyTorch's form:
---     r = σ(W x + U h), z = σ(W x + U h), n = tanh(W x + r (U h)), h = (1 - z) n + z h,
--- each with biases of its own on both sides. Weights are `weight_ih_l0`, `weight_hh_l0`, `bias_ih_l0`, `bias_hh_l0`,
--- and so on by layer, with `_reverse` behind those of the other direction; r, z, n stand one below the other.
---@param input_size integer
---@param hidden_size integer
---@param options? {num_layers?: integer, bias?: boolean, batch_first?: boolean, dropout?: number, bidirectional?: boolean} num_layers: default 1; bias: default true; batch_first: sequences are [N,L,I] instead of [L,N,I], default false; dropout: between layers, while training, default 0; bidirectional: a second pass from the end, default false
---@return GRU
function lx.nn.GRU(input_size, hidden_size, options) end

---@class GlobalAvgPool2d: Module

--- The mean of each channel.
---@return GlobalAvgPool2d
function lx.nn.GlobalAvgPool2d() end

---@class GlobalMaxPool2d: Module

--- The largest value of each channel.
---@return GlobalMaxPool2d
function lx.nn.GlobalMaxPool2d() end

---@class GroupNorm: Module
---@field weight Tensor? [channels]
---@field bias Tensor? [channels]

--- `nn.GroupNorm(8, 64)`: normalises each of `groups` groups of channels of each image.
---@param groups integer
---@param channels integer
---@param options? {eps?: number, affine?: boolean} eps: default 1e-5; affine: default true
---@return GroupNorm
function lx.nn.GroupNorm(groups, channels, options) end

---@class Hardsigmoid: Module

--- min(max(0, x + 3), 6) / 6 (Howard et al. 2019)
---@return Hardsigmoid
function lx.nn.Hardsigmoid() end

---@class Hardswish: Module

--- x min(max(0, x + 3), 6) / 6 (Howard et al. 2019)
---@return Hardswish
function lx.nn.Hardswish() end

---@class HuberLoss: Module

--- Half the square below `delta` (default 1), linear above (Huber 1964): `delta` times `smooth_l1_loss`.
---@param options? {delta?: number, reduction?: "mean"|"sum"|"none"} reduction: default "mean"; delta: default 1
---@return HuberLoss
function lx.nn.HuberLoss(options) end

---@class Identity: Module

--- What it is given, as it is.
---@return Identity
function lx.nn.Identity() end

---@class InstanceNorm2d: Module
---@field weight Tensor? [channels], with `affine`
---@field bias Tensor? [channels], with `affine`
---@field running_mean Tensor? [channels], with `track_running_stats`
---@field running_var Tensor? [channels], with `track_running_stats`

--- `nn.InstanceNorm2d(64)`: normalises each channel of each image of [N,channels,H,W] by itself (Ulyanov et al. 2016);
--- with `track_running_stats`, by running statistics after `eval()`.
---@param channels integer
---@param options? {eps?: number, momentum?: number|boolean, affine?: boolean, track_running_stats?: boolean} eps: default 1e-5; momentum: default 0.1; affine, track_running_stats: default false
---@return InstanceNorm2d
function lx.nn.InstanceNorm2d(channels, options) end

---@class KLDivLoss: Module

--- Kullback-Leibler divergence of `target` from what `x` is the logarithm of: target (log target - x), 0 where the
--- target is 0 or missing (NaN).
---@param options? {log_target?: boolean, reduction?: "mean"|"batchmean"|"sum"|"none"} log_target: default false; reduction: default "mean", which is over all elements; "batchmean" divides the sum by the size of dimension 1, and is the divergence by its definition
---@return KLDivLoss
function lx.nn.KLDivLoss(options) end

---@class L1Loss: Module

--- Mean of |x - target| over the targets that are not NaN.
---@param options? {reduction?: "mean"|"sum"|"none"} reduction: default "mean"
---@return L1Loss
function lx.nn.L1Loss(options) end

---@class LSTM: Module

--- `nn.LSTM(32, 64)`: long short-term memory (Hochreiter and Schmidhuber 1997; with forget gates Gers et al. 2000):
---     i, f, o = σ(W x + U h), g = tanh(W x + U h), c = f c + i g, h = o tanh(c).
--- Weights are called as those of `nn.GRU`; i, f, g, o stand one below the other.
---@param input_size integer
---@param hidden_size integer
---@param options? {num_layers?: integer, bias?: boolean, batch_first?: boolean, dropout?: number, bidirectional?: boolean} as of `nn.GRU`
---@return LSTM
function lx.nn.LSTM(input_size, hidden_size, options) end

---@class LayerNorm: Module
---@field weight Tensor? of the shape normalised over
---@field bias Tensor? likewise

--- `nn.LayerNorm({64, 7, 7})`: normalises over the last dimensions, which have this shape.
---@param shape integer|integer[]
---@param options? {eps?: number, affine?: boolean} eps: default 1e-5; affine: default true
---@return LayerNorm
function lx.nn.LayerNorm(shape, options) end

---@class LeakyReLU: Module
local LeakyReLU = {}

--- `nn.LeakyReLU(0.1)`
---@param slope? number? where negative, 0.01
---@return LeakyReLU
function lx.nn.LeakyReLU(slope) end

---@class Linear: Module
---@field weight Tensor [out_features, in_features]
---@field bias Tensor? [out_features]

--- `nn.Linear(512, 10)`: [...,in_features] to [...,out_features].
---@param in_features integer
---@param out_features integer
---@param options? {bias?: boolean}
---@return Linear
function lx.nn.Linear(in_features, out_features, options) end

---@class LocalResponseNorm: Module
---@field size integer channels of a window

--- `nn.LocalResponseNorm(5)`: divides each channel by a power of the mean square of `size` neighbouring ones; see
--- `F.local_response_norm`.
---@param size integer
---@param options? {alpha?: number, beta?: number, k?: number} alpha: default 1e-4; beta: default 0.75; k: default 1
---@return LocalResponseNorm
function lx.nn.LocalResponseNorm(size, options) end

---@class MSELoss: Module

--- Mean of (x - target)^2 over the targets that are not NaN.
---@param options? {reduction?: "mean"|"sum"|"none"} reduction: default "mean"
---@return MSELoss
function lx.nn.MSELoss(options) end

---@class MaxPool1d: Module

--- `nn.MaxPool1d(2)`: the largest value of each window of [N,C,L].
---@param kernel integer
---@param options? {stride?: integer, padding?: integer} stride defaults to the kernel
---@return MaxPool1d
function lx.nn.MaxPool1d(kernel, options) end

---@class MaxPool2d: Module

--- `nn.MaxPool2d(2)`: the largest value of each window of [N,C,H,W].
---@param kernel integer|integer[]
---@param options? {stride?: integer|integer[], padding?: integer|integer[], ceil_mode?: boolean} stride defaults to the kernel; ceil_mode: a last window may reach over the end, if it begins before it
---@return MaxPool2d
function lx.nn.MaxPool2d(kernel, options) end

--- Called by the constructor with its arguments; a class replaces it.
---@param ... any
---@return Module
function lx.nn.Module(...) end

---@class ModuleList: Module
local ModuleList = {}

--- `nn.ModuleList(a, b)` or `nn.ModuleList({a, b})`: a list whose modules belong to the network. It has no forward.
---@param ... Module|Module[]
---@return ModuleList
function lx.nn.ModuleList(...) end

---@class MultiheadAttention: Module
---@field in_proj_weight Tensor [3 embed_dim, embed_dim] of query, key and value, one below the other
---@field in_proj_bias Tensor? [3 embed_dim]
---@field out_proj Linear

--- `nn.MultiheadAttention(64, 8)`: each position of a query sees positions of another sequence, or of its own, by
--- softmax(Q Kᵀ / √d) V in each head (Vaswani et al., "Attention is all you need", 2017).
---@param embed_dim integer which num_heads divides
---@param num_heads integer
---@param options? {dropout?: number, bias?: boolean, batch_first?: boolean} dropout: of the weights, while training, default 0; bias: default true; batch_first: sequences are [N,L,E] instead of [L,N,E], default false
---@return MultiheadAttention
function lx.nn.MultiheadAttention(embed_dim, num_heads, options) end

---@class NLLLoss: Module

--- Negative log-likelihood: the cross-entropy of what already are logarithms of probabilities.
---@param options? {weight?: Tensor, ignore_index?: integer, reduction?: "mean"|"sum"|"none"} weight: [C] per class, by which the mean is weighted; reduction: default "mean"
---@return NLLLoss
function lx.nn.NLLLoss(options) end

---@class NTXentLoss: Module

--- Normalised temperature-scaled cross-entropy of pairs (NT-Xent, Chen et al. 2020, "A simple framework for contrastive
--- learning of visual representations", equation 1): each of the 2N rows should be nearer to its partner, by the cosine
--- of the angle between them, than to the 2N - 2 others.
---@param options? {temperature?: number, reduction?: "mean"|"sum"|"none"} temperature: what cosines are divided by, default 0.5; reduction: default "mean"
---@return NTXentLoss
function lx.nn.NTXentLoss(options) end

--- Marks a tensor as a parameter: it requires a gradient, and a module that it is assigned to lists it.
---@param tensor Tensor float32, not the result of a recorded operation
---@return Tensor tensor the same
function lx.nn.Parameter(tensor) end

---@class ReLU: Module

--- max(0, x)
---@return ReLU
function lx.nn.ReLU() end

---@class ReLU6: Module

--- min(max(0, x), 6) (Krizhevsky 2010)
---@return ReLU6
function lx.nn.ReLU6() end

---@class ReflectionPad2d: Module

--- Adds values around a tensor, from the last dimension on: {left, right} of the last one, {left, right, top, bottom}
--- of the last two and so on. Negative numbers cut off (mode "constant" alone).
---@param padding integer[]
---@return ReflectionPad2d
function lx.nn.ReflectionPad2d(padding) end

---@class RegionLoss: Module

--- The loss of YOLO v2 (Redmon and Farhadi 2017) over the map of a region layer: squared differences of sigmoid(x),
--- sigmoid(y), the logarithms of width and height, and objectness; cross-entropy of classes. Each object is up to the
--- anchor of its cell whose shape is the most like its own, the last object where two want the same; objectness of the
--- other anchors is to be 0, but not of those whose box overlaps an object by more than `thresh`.
---
--- Beyond the paper, as in darknet: the scales; `rescore`, by which the objectness of an object's anchor is to be the
--- overlap of its box with the object, not 1; `bias_match`, by which anchors are compared by their own shapes, not by
--- those of the boxes that they give; `by_size`, by which coordinates of small objects weigh more, 2 - w h; and while
--- fewer than 12800 images were seen, coordinates of all anchors are drawn to the cells' centres and the anchors'
--- shapes, with the scale 0.01. Targets that hang on the map itself have no gradient. Computed by the cpu for every
--- device.
---@param options {anchors: (table)[], object_scale?: number, noobject_scale?: number, class_scale?: number, coord_scale?: number, thresh?: number, rescore?: boolean, bias_match?: boolean, by_size?: boolean, seen?: integer, reduction?: "mean"|"sum"} anchors: {width, height} each, in cells; object_scale: default 5, the other scales: default 1; thresh: default 0.6; rescore, bias_match, by_size: default true; seen: how many images were seen before and with these, default 12800; reduction: over images, default "mean"
---@return RegionLoss
function lx.nn.RegionLoss(options) end

---@class Reorg: Module

--- `nn.Reorg(2)`: moves pixels of [N,C,H,W] to channels or back; see `F.reorg`.
---@param stride integer
---@param options? {order?: "darknet"|"space_to_depth"|"depth_to_space"} order: default "space_to_depth"
---@return Reorg
function lx.nn.Reorg(stride, options) end

---@class ReplicationPad2d: Module

--- Adds values around a tensor, from the last dimension on: {left, right} of the last one, {left, right, top, bottom}
--- of the last two and so on. Negative numbers cut off (mode "constant" alone).
---@param padding integer[]
---@return ReplicationPad2d
function lx.nn.ReplicationPad2d(padding) end

---@class Route: Module

--- `nn.Route()`: the channels of several maps one after the other, in the order in which these are given.
---@return Route
function lx.nn.Route() end

---@class Sequential: Module
local Sequential = {}

--- `nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU())`: each module's result is the next one's input. Their names are "0",
--- "1" ..., or those of a list of pairs: `nn.Sequential {{"conv", nn.Conv2d(1, 8, 3)}, {"relu", nn.ReLU()}}`. A list of
--- modules does as well.
---@param ... Module|Module[]|{[1]: string, [2]: Module}[]
---@return Sequential
function lx.nn.Sequential(...) end

---@class Shortcut: Module

--- `nn.Shortcut()`: the sum of two maps of one size (He et al. 2016).
---@return Shortcut
function lx.nn.Shortcut() end

---@class SiLU: Module

--- x / (1 + e^-x) (Elfwing et al. 2018)
---@return SiLU
function lx.nn.SiLU() end

---@class Sigmoid: Module

--- 1/(1 + e^-x)
---@return Sigmoid
function lx.nn.Sigmoid() end

---@class SmoothL1Loss: Module

--- Quadratic below `beta` (default 1), linear above (Girshick 2015).
---@param options? {beta?: number, reduction?: "mean"|"sum"|"none"} reduction: default "mean"; beta: default 1
---@return SmoothL1Loss
function lx.nn.SmoothL1Loss(options) end

---@class Softmax: Module

--- `nn.Softmax(2)`: over the classes of [N,C].
---@param dim integer
---@return Softmax
function lx.nn.Softmax(dim) end

---@class StochasticDepth: Module

--- Stochastic depth (Huang et al. 2016): while training, zeroes each image with probability p and scales the others by
--- 1/(1-p); for the branch beside a shortcut.
---@param p? number? 0.5
---@return StochasticDepth
function lx.nn.StochasticDepth(p) end

---@class Tanh: Module

--- hyperbolic tangent
---@return Tanh
function lx.nn.Tanh() end

---@class TransformerEncoder: Module
---@field layers ModuleList
---@field norm Module?

--- `nn.TransformerEncoder(nn.TransformerEncoderLayer(64, 8), 6)`: copies of a layer, one behind the other. As in
--- PyTorch they begin with the same weights.
---@param layer TransformerEncoderLayer is copied
---@param num_layers integer
---@param options? {norm?: Module} norm: behind the last one
---@return TransformerEncoder
function lx.nn.TransformerEncoder(layer, num_layers, options) end

---@class TransformerEncoderLayer: Module
---@field self_attn MultiheadAttention
---@field linear1 Linear
---@field linear2 Linear
---@field norm1 LayerNorm
---@field norm2 LayerNorm

--- `nn.TransformerEncoderLayer(64, 8)`: self-attention, then two linear layers at each position, each with a shortcut
--- and a layer normalisation (Vaswani et al. 2017).
---@param d_model integer
---@param nhead integer
---@param options? {dim_feedforward?: integer, dropout?: number, activation?: "relu"|"gelu", layer_norm_eps?: number, batch_first?: boolean, norm_first?: boolean} dim_feedforward: between the linear layers, default 2048; dropout: default 0.1; activation: default "relu"; layer_norm_eps: default 1e-5; batch_first: as of MultiheadAttention; norm_first: normalises what goes into each part instead of what comes out, default false
---@return TransformerEncoderLayer
function lx.nn.TransformerEncoderLayer(d_model, nhead, options) end

---@class TverskyLoss: Module

--- Tversky loss of masks (Salehi et al. 2017): 1 - (TP + smooth) / (TP + alpha FP + beta FN + smooth) for each image
--- and channel, with TP = sum(p t), FP = sum(p (1 - t)), FN = sum((1 - p) t) and p = sigmoid(x). A beta above alpha
--- weighs what is missed more than false alarms; 0.5 for both is the Dice loss without squares.
---@param options? {alpha?: number, beta?: number, smooth?: number, reduction?: "mean"|"sum"|"none"} alpha: default 0.3; beta: default 0.7; smooth: default 1; reduction: default "mean"
---@return TverskyLoss
function lx.nn.TverskyLoss(options) end

---@class Upsample: Module

--- `nn.Upsample({scale = 2, mode = "bilinear"})`: resizes [N,C,H,W]; see `F.interpolate`.
---@param options {size?: integer|integer[], scale?: number, mode?: "nearest"|"bilinear", align_corners?: boolean}
---@return Upsample
function lx.nn.Upsample(options) end

---@class YoloLoss: Module

--- The loss of YOLO v3 (Redmon and Farhadi 2018) over one of the maps of a network: an object is up to the anchor whose
--- shape is the most like its own, of all maps, in the cell of its centre; if that anchor is another map's, there is
--- nothing to do for it here. Cross-entropy of the sigmoids of x, y, objectness and each class, and squared differences
--- of the logarithms of width and height; coordinates times 2 - w h. Objectness of the other anchors is to be 0, but
--- not of those whose box overlaps an object by more than `ignore`. An anchor that two objects want has the place of
--- the last one, and both classes. The loss of a network is the sum over its maps. Of x and y, whose targets are no
--- whole numbers, the cross-entropy is above 0 also where all is right. Computed by the cpu for every device.
---@param options {anchors: (table)[], own: (integer)[], size: integer|integer[], ignore?: number, object_scale?: number, noobject_scale?: number, class_scale?: number, coord_scale?: number, by_size?: boolean, reduction?: "mean"|"sum"} anchors: {width, height} each in pixels of the network's images, those of all maps; own: the numbers from 1 of those of this map; size: of these images, {height, width} or both as one; ignore: default 0.7; the scales: default 1; by_size: coordinates times 2 - w h, default true; reduction: over images, default "mean"
---@return YoloLoss
function lx.nn.YoloLoss(options) end

---@class ZeroPad2d: Module

--- Adds values around a tensor, from the last dimension on: {left, right} of the last one, {left, right, top, bottom}
--- of the last two and so on. Negative numbers cut off (mode "constant" alone).
---@param padding integer[]
---@return ZeroPad2d
function lx.nn.ZeroPad2d(padding) end

--- What a `Sequential` of these modules computes, for a forward whose modules have names of their own: each one's
--- result is the next one's input, and in a view made by `nn.fuse` several are computed at a time. `nn.plus(tensor)`
--- among them adds a shortcut.
---@param x Tensor
---@param ... Module|fun(x: Tensor): Tensor
---@return Tensor
function lx.nn.chain(x, ...) end

--- A new class of modules. Calling it makes an instance and passes the arguments to `init`. A subclass reaches the
--- method it replaces through its parent: `Parent.init(self, ...)`.
---@param name string shown when printed
---@param parent? table? a class made by this function; default `nn.Module`
---@return table class
function lx.nn.class(name, parent) end

--- A view of a network that computes several layers at a time where it can (see the top of this file): faster and in
--- less memory, with results that may differ from the layer-by-layer ones by rounding. Under `lx.math("exact")` it
--- computes layer by layer. Everything but calling it (methods, fields, `#`) goes to the network.
---@param net Module
---@return Module view the same one for the same network
function lx.nn.fuse(net) end

--- A step of `nn.chain` that adds a tensor to what comes before it, as a residual network's shortcut does (He et al.
--- 2016): `nn.chain(x, conv1, bn1, relu, conv2, bn2, nn.plus(x), relu)`. In a view made by `nn.fuse` a BatchNorm2d
--- before it and a ReLU or ReLU6 after it are computed in the same pass over memory.
---@param tensor Tensor float32 of a shape that goes with the result before it
---@return fun(x: Tensor): Tensor step
function lx.nn.plus(tensor) end

--- Runs the network on zeros of the given shape and tables, for every layer without children and every module with
--- parameters beside those of its children, the shape it makes, its own parameters and its multiply-adds (of
--- convolutions and linear layers, for the whole batch). Print it to see it.
---@param net Module
---@param shape integer[] of the input, with the batch: `{1, 1, 224, 224}`
---@param options? {dtype?: "float32"|"int32"} of the input, "float32"
---@return {rows: table[], parameters: integer, multiply_adds: integer} summary rows hold name, layer, shape, parameters and multiply_adds; the total counts shared parameters once
function lx.nn.summary(net, shape, options) end

--- The same with something added to it and an activation after that, in one pass over memory: what `nn.fuse` calls.
---@param x? Tensor [N,channels,H,W]
---@param activation? "leaky"|"relu"|"relu6"|nil
---@param addend? Tensor? of the shape of x
---@return Tensor of the shape of x
function BatchNorm2d:activated(x, activation, addend) end

--- The same with something added to it and an activation after that, in one pass over memory where it can be.
---@param x? Tensor [N,channels,H,W]
---@param activation? "leaky"|"relu"|"relu6"|nil
---@param addend? Tensor? of the shape of x
---@return Tensor of the shape of x
function DarknetBatchNorm2d:activated(x, activation, addend) end

--- Its name among the activations that convolutions compute in passing (kernels/activation.h), where it is one.
---@return string?
function LeakyReLU:activation() end

--- Adds a module at the end.
---@param module Module
---@return ModuleList self
function ModuleList:append(module) end

--- `for i, module in list:each() do`
---@return fun(): integer, Module
function ModuleList:each() end

--- The module at an index, from 1, or from the end if negative.
---@param index integer
---@return Module
function ModuleList:get(index) end

--- Adds a module at the end.
---@param module Module
---@return Sequential self
function Sequential:append(module) end

--- The module at an index, from 1, or from the end if negative.
---@param index integer
---@return Module
function Sequential:get(index) end

---@class lx.nn.functional
lx.nn.functional = {}

--- Mean over windows of a signal chosen so that the result has the given size.
---@param x Tensor [N,C,L]
---@param size integer
---@return Tensor y [N,C,size]
function lx.nn.functional.adaptive_avg_pool1d(x, size) end

--- Mean over windows chosen so that the result has the given size.
---@param x Tensor [N,C,H,W]
---@param size integer|integer[] height and width of the result
---@return Tensor y [N,C,size,size]
function lx.nn.functional.adaptive_avg_pool2d(x, size) end

--- Mean of each window of a signal; padding counts as zeros unless `count_include_pad` is false.
---@param x Tensor [N,C,L]
---@param kernel integer
---@param options? {stride?: integer, padding?: integer, count_include_pad?: boolean} stride: default the kernel; padding: default 0; count_include_pad: whether zeros of the padding count in the mean, default true
---@return Tensor y [N,C,L'] as for max_pool1d
function lx.nn.functional.avg_pool1d(x, kernel, options) end

--- Mean of each window; padding counts as zeros unless `count_include_pad` is false.
---@param x Tensor [N,C,H,W]
---@param kernel integer|integer[]
---@param options? {stride?: integer|integer[], padding?: integer|integer[], count_include_pad?: boolean} stride: default the kernel; padding: default 0; count_include_pad: whether zeros of the padding count in the mean, default true
---@return Tensor y [N,C,H',W'] as for max_pool2d
function lx.nn.functional.avg_pool2d(x, kernel, options) end

--- Batch normalisation per channel (Ioffe and Szegedy 2015).
---@param x Tensor [N,C,H,W], [N,C,L] or [N,C]
---@param running_mean? Tensor? [C] used when not training, updated in place when training
---@param running_var? Tensor? [C] likewise
---@param weight? Tensor? [C]
---@param bias? Tensor? [C]
---@param options? {training?: boolean, momentum?: number, eps?: number, addend?: Tensor, activation?: "leaky"|"relu"|"relu6"} training: default false; momentum: default 0.1; eps: default 1e-5; addend: of x's shape, is added to the result; activation: is applied to it then; all in the same pass
---@return Tensor y of x's shape
function lx.nn.functional.batch_norm(x, running_mean, running_var, weight, bias, options) end

--- Binary cross-entropy of logits. Elements whose target is NaN (a missing label) count for nothing.
---@param x Tensor logits
---@param target Tensor of the same shape, 0 to 1 or NaN
---@param options? {pos_weight?: number|Tensor, reduction?: "mean"|"sum"|"none"} pos_weight: multiplies the loss of the positives, a number, or [C] for the last dimension; reduction: default "mean", which is over the targets present
---@return Tensor loss 0-d, or of x's shape for "none"
function lx.nn.functional.binary_cross_entropy_with_logits(x, target, options) end

--- Contrastive loss of pairs of two kinds, such as films and their reports: each row of x should be nearer to its
--- partner among the rows of target, by the cosine of the angle between them, than to the others, and the other way
--- round. With `weight` 0.75 and `temperature` 0.1 it is that of ConVIRT (Zhang et al. 2020, "Contrastive learning of
--- medical visual representations from paired images and text", equations 2 to 4), with 0.5 and a temperature that is
--- learnt that of CLIP (Radford et al. 2021, "Learning transferable visual models from natural language supervision").
--- Other rows count as wrong partners, also where they say the same.
---@param x Tensor [N,D] what one network makes of the ones
---@param target Tensor [N,D] and what another one makes of their partners, in the same order
---@param options? {temperature?: number|Tensor, weight?: number, reduction?: "mean"|"sum"|"none"} temperature: what cosines are divided by, default 0.1; a tensor of one number, positive, gets a gradient; weight: of finding target for x, from 0 to 1, default 0.5, the rest being that of finding x for target; reduction: default "mean"
---@return Tensor loss 0-d, or [N] for "none"
function lx.nn.functional.clip_loss(x, target, options) end

--- Convolution (cross-correlation) of signals.
---@param x Tensor [N,C,L]
---@param weight Tensor [O,C/groups,K]
---@param bias? Tensor? [O]
---@param options? {stride?: integer, padding?: integer, dilation?: integer, groups?: integer} stride, dilation, groups: default 1; padding: default 0
---@return Tensor y [N,O,L'], L' = (L + 2 padding - dilation (K - 1) - 1) / stride + 1, rounded down
function lx.nn.functional.conv1d(x, weight, bias, options) end

--- Convolution (cross-correlation) of images.
---@param x Tensor [N,C,H,W]
---@param weight Tensor [O,C/groups,KH,KW]
---@param bias? Tensor? [O]
---@param options? {stride?: integer|integer[], padding?: integer|integer[], dilation?: integer|integer[], groups?: integer, relu?: boolean, activation?: "leaky"|"relu"|"relu6", max_pool?: {kernel: integer|integer[], stride?: integer|integer[], padding?: integer|integer[], ceil_mode?: boolean}} stride, dilation, groups: default 1; padding: default 0; activation: is applied to the result in the same pass; relu: true for activation = "relu"; max_pool: with an activation only, then pools it, after ReLU without keeping it
---@return Tensor y [N,O,H',W'], H' = (H + 2 padding - dilation (KH - 1) - 1) / stride + 1, rounded down
function lx.nn.functional.conv2d(x, weight, bias, options) end

--- Transposed convolution of images: the gradient of `conv2d` for its input, used to enlarge.
---@param x Tensor [N,C,H,W]
---@param weight Tensor [C,O/groups,KH,KW]
---@param bias? Tensor? [O]
---@param options? {stride?: integer|integer[], padding?: integer|integer[], output_padding?: integer|integer[], dilation?: integer|integer[], groups?: integer} stride, dilation, groups: default 1; padding, output_padding: default 0
---@return Tensor y [N,O,H',W'], H' = (H - 1) stride - 2 padding + dilation (KH - 1) + output_padding + 1
function lx.nn.functional.conv_transpose2d(x, weight, bias, options) end

--- Cross-entropy of logits over classes (dimension 2).
---@param x Tensor logits [N,C] or [N,C,H,W]
---@param target Tensor class numbers from 1, int32 [N] or [N,H,W]; a float32 target may have NaN for missing labels. One outside raises on the cpu; on other devices, which compute while Lua goes on, it makes the loss NaN. Or shares of the classes, float32 of x's shape, as of mixed or smoothed labels; NaN where they are missing
---@param options? {weight?: Tensor, label_smoothing?: number, ignore_index?: integer, reduction?: "mean"|"sum"|"none"} weight: [C] per class, by which the mean is weighted; label_smoothing: as in Szegedy et al. 2016, default 0; reduction: default "mean", over the targets present
---@return Tensor loss 0-d, or [N] or [N,H,W] for "none"
function lx.nn.functional.cross_entropy(x, target, options) end

--- Dice loss of masks (Milletari et al. 2016): 1 - (2 sum(p t) + smooth) / (sum(p^2) + sum(t^2) + smooth) for each
--- image and channel, with p = sigmoid(x). Pixels whose target is NaN count for nothing.
---@param x Tensor logits [N,C,...] with at least one dimension of pixels
---@param target Tensor of the same shape, 0 to 1 or NaN
---@param options? {smooth?: number, squared?: boolean, reduction?: "mean"|"sum"|"none"} smooth: keeps empty masks from 0 / 0, default 1; squared: default true; without it p and t themselves are summed, the common definition besides the paper's; reduction: default "mean"
---@return Tensor loss 0-d, or [N,C] for "none"; the mean is over the images and channels that have any label
function lx.nn.functional.dice_loss(x, target, options) end

--- While training, zeroes each element with probability p and scales the others by 1/(1-p).
---@param x Tensor
---@param p? number? 0.5
---@param training? boolean? default true
---@return Tensor of the shape of x
function lx.nn.functional.dropout(x, p, training) end

--- The same for whole channels of images.
---@param x Tensor [N,C,H,W]
---@param p? number? 0.5
---@param training? boolean? default true
---@return Tensor of the shape of x
function lx.nn.functional.dropout2d(x, p, training) end

--- Rows of a table of vectors.
---@param indices Tensor int32 [...], 1-based
---@param weight Tensor [V,D]
---@return Tensor y [...,D]
function lx.nn.functional.embedding(indices, weight) end

--- Sigmoid focal loss (Lin et al. 2017). Elements whose target is NaN count for nothing.
---@param x Tensor logits
---@param target Tensor of the same shape, 0, 1 or NaN
---@param options? {alpha?: number, gamma?: number, reduction?: "mean"|"sum"|"none"} alpha: default 0.25; negative for no balancing; gamma: default 2; reduction: default "mean"
---@return Tensor loss 0-d, or of x's shape for "none"
function lx.nn.functional.focal_loss(x, target, options) end

--- x times the normal distribution function of x (Hendrycks and Gimpel 2016), by erf, not the tanh approximation.
---@param x Tensor
---@return Tensor of the shape of x
function lx.nn.functional.gelu(x) end

--- Group normalisation (Wu and He 2018): mean 0 and variance 1 over each group of channels of each image.
---@param x Tensor [N,C,...]
---@param groups integer divides C
---@param weight? Tensor? [C]
---@param bias? Tensor? [C]
---@param options? {eps?: number} eps: default 1e-5
---@return Tensor y of x's shape
function lx.nn.functional.group_norm(x, groups, weight, bias, options) end

--- min(max(0, x + 3), 6) / 6 (Howard et al. 2019)
---@param x Tensor
---@return Tensor
function lx.nn.functional.hardsigmoid(x) end

--- x min(max(0, x + 3), 6) / 6 (Howard et al. 2019)
---@param x Tensor
---@return Tensor
function lx.nn.functional.hardswish(x) end

--- Half the square below `delta` (default 1), linear above (Huber 1964): `delta` times `smooth_l1_loss`.
---@param x Tensor
---@param target Tensor of the shape of x
---@param options? {delta?: number, reduction?: "mean"|"sum"|"none"} reduction: default "mean"; delta: default 1
---@return Tensor loss 0-d, or of the shape of x for "none"
function lx.nn.functional.huber_loss(x, target, options) end

--- Instance normalisation (Ulyanov et al. 2016): mean 0 and variance 1 of each channel of each image.
---@param x Tensor [N,C,H,W]
---@param running_mean? Tensor? [C] used without `use_input_stats`, else updated in place by the mean over the images
---@param running_var? Tensor? [C] likewise
---@param weight? Tensor? [C]
---@param bias? Tensor? [C]
---@param options? {use_input_stats?: boolean, momentum?: number, eps?: number} use_input_stats: default true; momentum: default 0.1; eps: default 1e-5
---@return Tensor y of x's shape
function lx.nn.functional.instance_norm(x, running_mean, running_var, weight, bias, options) end

--- Resizes images.
---@param x Tensor [N,C,H,W]
---@param options {size?: integer|integer[], scale?: number, mode?: "nearest"|"bilinear", align_corners?: boolean} size, scale: one of both is needed; mode: default "nearest"; align_corners: for bilinear only, default false
---@return Tensor y [N,C,H',W']
function lx.nn.functional.interpolate(x, options) end

--- Kullback-Leibler divergence of `target` from what `x` is the logarithm of: target (log target - x), 0 where the
--- target is 0 or missing (NaN).
---@param x Tensor log-probabilities
---@param target Tensor probabilities of the same shape; with log_target, their logarithms
---@param options? {log_target?: boolean, reduction?: "mean"|"batchmean"|"sum"|"none"} log_target: default false; reduction: default "mean", which is over all elements; "batchmean" divides the sum by the size of dimension 1, and is the divergence by its definition
---@return Tensor loss 0-d, or of x's shape for "none"
function lx.nn.functional.kl_div(x, target, options) end

--- Mean of |x - target| over the targets that are not NaN.
---@param x Tensor
---@param target Tensor of the shape of x
---@param options? {reduction?: "mean"|"sum"|"none"} reduction: default "mean"
---@return Tensor loss 0-d, or of the shape of x for "none"
function lx.nn.functional.l1_loss(x, target, options) end

--- Layer normalisation (Ba et al. 2016) over the last dimensions.
---@param x Tensor [...,unpack(shape)]
---@param shape integer|integer[] the sizes of the dimensions to normalise over
---@param weight? Tensor? of that shape
---@param bias? Tensor? of that shape
---@param options? {eps?: number} eps: default 1e-5
---@return Tensor y of x's shape
function lx.nn.functional.layer_norm(x, shape, weight, bias, options) end

--- x where positive, slope x elsewhere.
---@param x Tensor
---@param slope? number? 0.01
---@return Tensor of the shape of x
function lx.nn.functional.leaky_relu(x, slope) end

--- y = x weight' + bias, over the last dimension.
---@param x Tensor [...,I]
---@param weight Tensor [O,I]
---@param bias? Tensor? [O]
---@param options? {relu?: boolean, activation?: "leaky"|"relu"|"relu6"} activation: is applied to the result in the same pass; relu: true for activation = "relu"
---@return Tensor y [...,O]
function lx.nn.functional.linear(x, weight, bias, options) end

--- Local response normalisation over neighbouring channels (Krizhevsky et al. 2012), with the mean of the squares as in
--- PyTorch: x / (k + alpha mean(x²))^beta, where the mean is over `size` channels, those outside counting as 0.
---@param x Tensor [N,C,...]
---@param size integer channels: from size // 2 before to (size - 1) // 2 behind
---@param options? {alpha?: number, beta?: number, k?: number} alpha: default 1e-4; beta: default 0.75; k: default 1
---@return Tensor y of x's shape
function lx.nn.functional.local_response_norm(x, size, options) end

--- log(softmax(x)) along a dimension, without overflow.
---@param x Tensor
---@param dim integer
---@return Tensor of the shape of x
function lx.nn.functional.log_softmax(x, dim) end

--- Largest value in each window of a signal.
---@param x Tensor [N,C,L]
---@param kernel integer
---@param options? {stride?: integer, padding?: integer} stride: default the kernel; padding: default 0
---@return Tensor y [N,C,L'], L' = (L + 2 padding - kernel) / stride + 1, rounded down
function lx.nn.functional.max_pool1d(x, kernel, options) end

--- Largest value in each window.
---@param x Tensor [N,C,H,W]
---@param kernel integer|integer[]
---@param options? {stride?: integer|integer[], padding?: integer|integer[], ceil_mode?: boolean} stride: default the kernel; padding: default 0; ceil_mode: a last window may reach over the end, if it begins before it
---@return Tensor y [N,C,H',W'], H' = (H + 2 padding - kernel) / stride + 1, rounded down, or up with ceil_mode
function lx.nn.functional.max_pool2d(x, kernel, options) end

--- Mean of (x - target)^2 over the targets that are not NaN.
---@param x Tensor
---@param target Tensor of the shape of x
---@param options? {reduction?: "mean"|"sum"|"none"} reduction: default "mean"
---@return Tensor loss 0-d, or of the shape of x for "none"
function lx.nn.functional.mse_loss(x, target, options) end

--- Negative log-likelihood: the cross-entropy of what already are logarithms of probabilities.
---@param x Tensor log-probabilities [N,C] or [N,C,H,W], as `F.log_softmax(x, 2)` gives them
---@param target Tensor as for `F.cross_entropy`
---@param options? {weight?: Tensor, ignore_index?: integer, reduction?: "mean"|"sum"|"none"} weight: [C] per class, by which the mean is weighted; reduction: default "mean"
---@return Tensor loss 0-d, or of the target's shape for "none"
function lx.nn.functional.nll_loss(x, target, options) end

--- Normalised temperature-scaled cross-entropy of pairs (NT-Xent, Chen et al. 2020, "A simple framework for contrastive
--- learning of visual representations", equation 1): each of the 2N rows should be nearer to its partner, by the cosine
--- of the angle between them, than to the 2N - 2 others.
---@param x Tensor [N,D] what the network makes of one view of each image
---@param target Tensor [N,D] and of another view of the same images, in the same order
---@param options? {temperature?: number, reduction?: "mean"|"sum"|"none"} temperature: what cosines are divided by, default 0.5; reduction: default "mean"
---@return Tensor loss 0-d, or [2N] for "none": those of x, then those of target
function lx.nn.functional.nt_xent_loss(x, target, options) end

--- Adds values around a tensor, from the last dimension on: {left, right} of the last one, {left, right, top, bottom}
--- of the last two and so on. Negative numbers cut off (mode "constant" alone).
---@param x Tensor float32
---@param padding integer[]
---@param options? {mode?: "constant"|"reflect"|"replicate"|"circular", value?: number} mode: default "constant"; "reflect" leaves out the border itself, "replicate" repeats it; value: default 0
---@return Tensor y
function lx.nn.functional.pad(x, padding, options) end

--- The loss of YOLO v2 (Redmon and Farhadi 2017) over the map of a region layer: squared differences of sigmoid(x),
--- sigmoid(y), the logarithms of width and height, and objectness; cross-entropy of classes. Each object is up to the
--- anchor of its cell whose shape is the most like its own, the last object where two want the same; objectness of the
--- other anchors is to be 0, but not of those whose box overlaps an object by more than `thresh`.
---
--- Beyond the paper, as in darknet: the scales; `rescore`, by which the objectness of an object's anchor is to be the
--- overlap of its box with the object, not 1; `bias_match`, by which anchors are compared by their own shapes, not by
--- those of the boxes that they give; `by_size`, by which coordinates of small objects weigh more, 2 - w h; and while
--- fewer than 12800 images were seen, coordinates of all anchors are drawn to the cells' centres and the anchors'
--- shapes, with the scale 0.01. Targets that hang on the map itself have no gradient. Computed by the cpu for every
--- device.
---@param x Tensor [N,anchors (5 + classes),H,W] before activations
---@param truth Tensor [N,T,5] objects {x, y, w, h, class} each: centre and size as fractions of the image, class from 1; 0 where an image has fewer than T
---@param options {anchors: (table)[], object_scale?: number, noobject_scale?: number, class_scale?: number, coord_scale?: number, thresh?: number, rescore?: boolean, bias_match?: boolean, by_size?: boolean, seen?: integer, reduction?: "mean"|"sum"} anchors: {width, height} each, in cells; object_scale: default 5, the other scales: default 1; thresh: default 0.6; rescore, bias_match, by_size: default true; seen: how many images were seen before and with these, default 12800; reduction: over images, default "mean"
---@return Tensor loss 0-d
---@return {coordinates: number, with_object: number, without_object: number, classes: number, cost: number, iou: number?, class: number?, objectness: number?, recall: number?, any: number, objects: integer} figures coordinates, with_object, without_object, classes: the parts of the loss, of which it is the sum; cost: the sum of the squared differences through the sigmoid; of objects, nil without any, the means of iou, probability of the right class, objectness, and the share with an iou above 0.5; any: mean objectness of all anchors
function lx.nn.functional.region_loss(x, truth, options) end

--- max(0, x)
---@param x Tensor
---@return Tensor
function lx.nn.functional.relu(x) end

--- min(max(0, x), 6) (Krizhevsky 2010)
---@param x Tensor
---@return Tensor
function lx.nn.functional.relu6(x) end

--- Moves pixels to channels or back, as the passthrough layer of YOLOv2 does (Redmon and Farhadi 2017).
---@param x Tensor [N,C,H,W]
---@param stride integer
---@param options? {order?: "darknet"|"space_to_depth"|"depth_to_space"} order: "space_to_depth" (the default) makes a channel of each pixel of a block, y[(i stride + j) C + c] at (h,w) = x[c] at (h stride + i, w stride + j), i and j from 0; "depth_to_space" is its inverse, and what darknet computes with `reverse=1`; "darknet" is what its `[reorg]` computes, which reads the numbers of an image as [C/stride²,H,stride,W,stride] whatever their places are
---@return Tensor y [N,C stride²,H/stride,W/stride], or [N,C/stride²,H stride,W stride] for "depth_to_space"; "darknet" wants C, H and W that stride² and stride divide, "space_to_depth" H and W, "depth_to_space" C
function lx.nn.functional.reorg(x, stride, options) end

--- 1/(1 + e^-x)
---@param x Tensor
---@return Tensor
function lx.nn.functional.sigmoid(x) end

--- x / (1 + e^-x) (Elfwing et al. 2018)
---@param x Tensor
---@return Tensor
function lx.nn.functional.silu(x) end

--- Quadratic below `beta` (default 1), linear above (Girshick 2015).
---@param x Tensor
---@param target Tensor of the shape of x
---@param options? {beta?: number, reduction?: "mean"|"sum"|"none"} reduction: default "mean"; beta: default 1
---@return Tensor loss 0-d, or of the shape of x for "none"
function lx.nn.functional.smooth_l1_loss(x, target, options) end

--- exp(x) / sum(exp(x)) along a dimension.
---@param x Tensor
---@param dim integer
---@return Tensor of the shape of x
function lx.nn.functional.softmax(x, dim) end

--- Stochastic depth (Huang et al. 2016): while training, zeroes each image with probability p and scales the others by
--- 1/(1-p); for the branch beside a shortcut.
---@param x Tensor [N,...]
---@param p? number? 0.5
---@param training? boolean? default true
---@return Tensor of the shape of x
function lx.nn.functional.stochastic_depth(x, p, training) end

--- hyperbolic tangent
---@param x Tensor
---@return Tensor
function lx.nn.functional.tanh(x) end

--- Tversky loss of masks (Salehi et al. 2017): 1 - (TP + smooth) / (TP + alpha FP + beta FN + smooth) for each image
--- and channel, with TP = sum(p t), FP = sum(p (1 - t)), FN = sum((1 - p) t) and p = sigmoid(x). A beta above alpha
--- weighs what is missed more than false alarms; 0.5 for both is the Dice loss without squares.
---@param x Tensor logits [N,C,...] with at least one dimension of pixels
---@param target Tensor of the same shape, 0 to 1 or NaN
---@param options? {alpha?: number, beta?: number, smooth?: number, reduction?: "mean"|"sum"|"none"} alpha: default 0.3; beta: default 0.7; smooth: default 1; reduction: default "mean"
---@return Tensor loss 0-d, or [N,C] for "none"; the mean is over the images and channels that have any label
function lx.nn.functional.tversky_loss(x, target, options) end

--- The loss of YOLO v3 (Redmon and Farhadi 2018) over one of the maps of a network: an object is up to the anchor whose
--- shape is the most like its own, of all maps, in the cell of its centre; if that anchor is another map's, there is
--- nothing to do for it here. Cross-entropy of the sigmoids of x, y, objectness and each class, and squared differences
--- of the logarithms of width and height; coordinates times 2 - w h. Objectness of the other anchors is to be 0, but
--- not of those whose box overlaps an object by more than `ignore`. An anchor that two objects want has the place of
--- the last one, and both classes. The loss of a network is the sum over its maps. Of x and y, whose targets are no
--- whole numbers, the cross-entropy is above 0 also where all is right. Computed by the cpu for every device.
---@param x Tensor [N,own (5 + classes),H,W] before activations
---@param truth Tensor [N,T,5] as of `region_loss`
---@param options {anchors: (table)[], own: (integer)[], size: integer|integer[], ignore?: number, object_scale?: number, noobject_scale?: number, class_scale?: number, coord_scale?: number, by_size?: boolean, reduction?: "mean"|"sum"} anchors: {width, height} each in pixels of the network's images, those of all maps; own: the numbers from 1 of those of this map; size: of these images, {height, width} or both as one; ignore: default 0.7; the scales: default 1; by_size: coordinates times 2 - w h, default true; reduction: over images, default "mean"
---@return Tensor loss 0-d
---@return {coordinates: number, with_object: number, without_object: number, classes: number, cost: number, iou: number?, class: number?, objectness: number?, recall: number?, any: number, objects: integer} figures as of `region_loss`; objects: those that are up to this map
function lx.nn.functional.yolo_loss(x, truth, options) end

---@class lx.nn.init
lx.nn.init = {}

--- Every element `value`.
---@param tensor Tensor
---@param value number
---@return Tensor tensor
function lx.nn.init.constant_(tensor, value) end

--- How many values come into and go out of one unit: for [O,I] I and O, for [O,I,KH,KW] I KH KW and O KH KW.
---@param tensor Tensor with at least 2 dimensions
---@return integer fan_in
---@return integer fan_out
function lx.nn.init.fans(tensor) end

--- How much the activation shrinks the standard deviation: the factor that makes up for it.
---@param nonlinearity "linear"|"conv2d"|"sigmoid"|"tanh"|"relu"|"leaky_relu"
---@param slope? number? of leaky_relu, 0.01
---@return number
function lx.nn.init.gain(nonlinearity, slope) end

--- He et al. 2015, normal.
---@param tensor Tensor
---@param options? {a?: number, mode?: "fan_in"|"fan_out", nonlinearity?: "linear"|"conv2d"|"sigmoid"|"tanh"|"relu"|"leaky_relu"} as for kaiming_uniform_
---@return Tensor tensor
function lx.nn.init.kaiming_normal_(tensor, options) end

--- He et al. 2015, uniform.
---@param tensor Tensor
---@param options? {a?: number, mode?: "fan_in"|"fan_out", nonlinearity?: "linear"|"conv2d"|"sigmoid"|"tanh"|"relu"|"leaky_relu"} a: the slope of leaky_relu, default 0; mode: default "fan_in"; nonlinearity: default "leaky_relu"
---@return Tensor tensor
function lx.nn.init.kaiming_uniform_(tensor, options) end

--- Normal with the given mean and standard deviation.
---@param tensor Tensor
---@param mean? number? 0
---@param std? number? 1
---@return Tensor tensor
function lx.nn.init.normal_(tensor, mean, std) end

--- 1 everywhere.
---@param tensor Tensor
---@return Tensor tensor
function lx.nn.init.ones_(tensor) end

--- Calls `build`, in which initialisers do nothing: for a network whose weights come from a file at once. Until then
--- they are whatever the memory held.
---@param build fun(...): ...
---@param ... any
---@return ... what it returns
function lx.nn.init.skip(build, ...) end

--- Uniform from `low` to `high`.
---@param tensor Tensor
---@param low? number? 0
---@param high? number? 1
---@return Tensor tensor
function lx.nn.init.uniform_(tensor, low, high) end

--- Glorot and Bengio 2010, normal.
---@param tensor Tensor
---@param gain? number? 1
---@return Tensor tensor
function lx.nn.init.xavier_normal_(tensor, gain) end

--- Glorot and Bengio 2010, uniform.
---@param tensor Tensor
---@param gain? number? 1
---@return Tensor tensor
function lx.nn.init.xavier_uniform_(tensor, gain) end

--- 0 everywhere.
---@param tensor Tensor
---@return Tensor tensor
function lx.nn.init.zeros_(tensor) end

---@class lx.opencl
lx.opencl = {}

--- The tensor itself if a kernel can take it as an argument: if its elements lie one after the other and begin where
--- the device can address them. Else a copy.
---@param t Tensor
---@return Tensor
function lx.opencl.dense(t) end

--- Makes a kernel from OpenCL C. It is compiled (`-cl-std=CL1.2` unless the options say otherwise) when it is first
--- used on a device; if it does not build, the error has the compiler's log.
---@param definition {name: string, source: string, options?: string} name: of the `__kernel` function in the source; options: of the compiler, such as "-DN=4"
---@return luxel.opencl.Kernel
function lx.opencl.kernel(definition) end

---@class lx.optim
lx.optim = {}

--- Adam (Kingma and Ba 2015); weight decay is added to the gradient.
---@param params? Tensor[]|table[] `net:parameters()`, or groups {params = {...}, lr = ...}
---@param options? {lr?: number, betas?: number[], eps?: number, weight_decay?: number}
---@return Optimizer
function lx.optim.Adam(params, options) end

--- Adam with weight decay apart from the gradient (Loshchilov and Hutter 2019).
---@param params? Tensor[]|table[] `net:parameters()`, or groups {params = {...}, lr = ...}
---@param options? {lr?: number, betas?: number[], eps?: number, weight_decay?: number}
---@return Optimizer
function lx.optim.AdamW(params, options) end

--- RMSprop (Hinton's lecture 6e), with optional momentum.
---@param params? Tensor[]|table[] `net:parameters()`, or groups {params = {...}, lr = ...}
---@param options? {lr?: number, alpha?: number, eps?: number, weight_decay?: number, momentum?: number}
---@return Optimizer
function lx.optim.RMSprop(params, options) end

--- Stochastic gradient descent, with momentum as in Sutskever et al. 2013 (PyTorch's form).
---@param params? Tensor[]|table[] `net:parameters()`, or groups {params = {...}, lr = ...}
---@param options? {lr?: number, momentum?: number, dampening?: number, nesterov?: boolean, weight_decay?: number}
---@return Optimizer
function lx.optim.SGD(params, options) end

--- Scales all gradients by one factor so that their common Euclidean norm is at most `max_norm`.
--- Nothing is read from the device, so nobody waits for it.
---@param params Tensor[] on one device
---@param max_norm number
---@return Tensor norm before scaling, 0-d; where it is NaN or infinite the gradients are left as they are
function lx.optim.clip_grad_norm_(params, max_norm) end

--- Limits every element of the gradients to [-limit, limit].
---@param params Tensor[]
---@param limit number
function lx.optim.clip_grad_value_(params, limit) end

--- Groups for an optimiser, so that the first layers, which pretrained networks have for all kinds of images, learn
--- more slowly than the last: `lx.optim.AdamW(lx.optim.parameter_groups(net, {lr = 1e-3, decay = 0.8}))`. With `decay`
--- the last layer learns at `lr`, the one before at `lr * decay`, and so on (Howard and Ruder 2018, "Universal language
--- model fine-tuning for text classification", section 3.2). A layer is a module of the network, those of a Sequential
--- or ModuleList each for themselves, in the order in which they were added; a normalisation belongs to the layer
--- before it. Frozen parameters are in the groups too, so that they can be unfrozen later.
---@param net Module
---@param options {lr: number, decay?: number, rules?: (table)[]} decay: above 0, at most 1, the default; rules: each {pattern, lr = ..., weight_decay = ...}: what the pattern (as of `Module:freeze`) fits gets these options instead, the later rule counts
---@return table[] groups {params =, lr =, ...}, that of the last layer first; a parameter in several layers is in the first of them
function lx.optim.parameter_groups(net, options) end

---@class lx.optim.lr_scheduler
lx.optim.lr_scheduler = {}

--- `CosineWarmup(optimizer, {warmup = 100, total = 2000, min_lr = 0})`: rises linearly to the optimiser's rate in
--- `warmup` steps, then falls along half a cosine to `min_lr` at step `total`, or to the share `min_share` of each
--- group's rate if that is more, and stays there.
---@param optimizer Optimizer
---@param options {total: integer, warmup?: integer, min_lr?: number, min_share?: number}
---@return Scheduler
function lx.optim.lr_scheduler.CosineWarmup(optimizer, options) end

--- `OneCycleLR(optimizer, {max_lr = 0.1, total = 2000})` (Smith and Topin 2018, cosine form): from max_lr/div_factor
--- up to max_lr in the first `pct_start` of the steps, then down to max_lr/(div_factor final_div_factor). Momentum is
--- left alone.
---@param optimizer Optimizer
---@param options {max_lr: number, total: integer, pct_start?: number, div_factor?: number, final_div_factor?: number}
---@return Scheduler
function lx.optim.lr_scheduler.OneCycleLR(optimizer, options) end

--- `ReduceLROnPlateau(optimizer, {mode = "max", factor = 0.1, patience = 10})`: `step(metric)` lowers the rates when
--- the metric was no better than the best (by the share `threshold`) for more than `patience` steps.
---@param optimizer Optimizer
---@param options? {mode?: "min"|"max", factor?: number, patience?: integer, threshold?: number, min_lr?: number, cooldown?: integer}
---@return Scheduler
function lx.optim.lr_scheduler.ReduceLROnPlateau(optimizer, options) end

--- `StepLR(optimizer, {step_size = 30, gamma = 0.1})`: the rate times gamma every `step_size` steps.
---@param optimizer Optimizer
---@param options {step_size: integer, gamma?: number}
---@return Scheduler
function lx.optim.lr_scheduler.StepLR(optimizer, options) end

---@class lx.plot
lx.plot = {}

--- The same plot as a picture. Letters are those of `lx.vision.draw_text`, which knows ASCII; of other characters a few
--- have a stand-in, the others are a question mark.
---@param layers table[] as of `svg`
---@param options? {title?: string, x?: string, y?: string, description?: string, width?: integer, height?: integer, x_range?: (number)[], y_range?: (number)[], log_x?: boolean, log_y?: boolean, legend?: boolean, scale?: integer, dark?: boolean} as of `svg`, and scale: integer?, pixels of the picture for one of `width` and `height`, default 2; dark: boolean?, light on dark
---@return Tensor picture uint8 [3,H,W] of `scale` times the height and width
function lx.plot.image(layers, options) end

--- An image in the colours of a terminal that knows 24 bits, two pixels in each character: `print` shows it.
---@param image Tensor uint8 or float32 (on the scale 0..255), [H,W], [1,H,W] or [3,H,W]
---@param width? integer? characters, default 64; the height keeps the image's proportion
---@return string
function lx.plot.preview(image, width) end

--- Writes a plot to a file: SVG where its name ends in `.svg`, a picture as of `image` where in `.png`.
---@param path string
---@param layers table[] as of `svg`
---@param options? {title?: string, x?: string, y?: string, description?: string, width?: integer, height?: integer, x_range?: (number)[], y_range?: (number)[], log_x?: boolean, log_y?: boolean, legend?: boolean, scale?: integer, dark?: boolean} as of `svg`; for a PNG as of `image`
---@return boolean? ok, string? message, string? code "io" where it cannot be written
function lx.plot.save(path, layers, options) end

--- Numbers as a line of blocks, the lowest the least of them. Where there are more than `width`, each block is the mean
--- of its share; a gap stands for NaN and infinite ones.
---@param values number[]|luxel.Tensor
---@param width? integer? characters at most, default 40
---@return string
function lx.plot.spark(values, width) end

--- A plot as SVG text. Layers are drawn over each other: `line` and `step` through points, `scatter` (with `low` and
--- `high` an interval at each point), `bar` (several stand beside each other; both with `names` below), `histogram` of
--- `values` in equal bins over their range, `band` between `low` and `high`, or a `heatmap` of `cells` by itself, whose
--- `names` are of its rows and `x` of its columns. Numbers are lists or tensors; `x` is 1, 2, ... by default. Layers of
--- the same name have the same colour, as a line in its band.
---@param layers {kind: "line"|"step"|"scatter"|"bar"|"histogram"|"band"|"heatmap", x: luxel.Tensor|any[]|nil, y: luxel.Tensor|number[]|nil, low: luxel.Tensor|number[]|nil, high: luxel.Tensor|number[]|nil, values: luxel.Tensor|number[]|nil, cells: luxel.Tensor|number[][]|nil, bins: integer?, range: number[]?, names: string[]?, name: string?, markers: boolean?}[] name: in the legend; bins: default 20
---@param options? {title?: string, x?: string, y?: string, description?: string, width?: integer, height?: integer, x_range?: (number)[], y_range?: (number)[], log_x?: boolean, log_y?: boolean, legend?: boolean} x, y: what the axes show, with units; description: for screen readers, default from the layers; width, height: pixels, default 480 and 320; ranges: the ends of the axes
---@return string svg
function lx.plot.svg(layers, options) end

---@class lx.predictor
lx.predictor = {}

--- Opens a model's file: of `luxel train`, of `lx.models.save`, or of `lx.train.fit` with `metadata = {model = NAME,
--- size = PIXELS}`, for a network of `lx.models` of that name and size. A file of another network holds its weights and
--- calibration, but not how it is built: load it into the network, and use `lx.train.predict`.
---
--- Several files make an ensemble: its probabilities are the means of those that the models have calibrated, and its
--- threshold is the mean of theirs, which was not chosen for it. They have to be of one task, size and classes.
---@param path string|string[]
---@param options? {device?: string, tta?: boolean|{flips?: boolean, shift?: number}} device: as of `lx.device`, default "cpu"; "auto" takes the best GPU; tta: as of `lx.train.predict`, the mean over mirrored and moved views; calibration and threshold are those of single views
---@return luxel.Predictor? predictor, string? message, string? code "io", "format" for a file that is damaged or no model, "model" where it finds boxes and there are to be several views, "device"
function lx.predictor.open(path, options) end

---@class lx.profile
lx.profile = {}

--- Watches devices from now on; `session:stop()` gives the report. For what is no single function; else `lx.profile`.
---@param device? string|string[]|nil default: every open device
---@return luxel.ProfileSession
function lx.profile.start(device) end

---@class lx.report
lx.report = {}

--- Writes the page of an evaluation of images with one of two classes, one of several, or several labels: figures with
--- intervals, curves, thresholds, subgroups, the worst mistakes as pictures, cards of data and model.
---@param path string the file
---@param probabilities number[]|number[][]|luxel.Tensor as `Predictor:probabilities` gives them
---@param dataset luxel.Dataset the images, with labels
---@param options? {threshold?: number|(number)[], classes?: (string)[], subgroups?: table, metadata?: table, model?: string, data?: string, title?: string, command?: string, maps?: function, pictures?: integer, prevalence?: number, seed?: integer, n?: integer} threshold: default 0.5; classes: other names; subgroups: by the name of a column a value for each image, nil where it is not known, numbers cut into ranges; metadata: of the model, for its card; model: its file; data: where the images are from; maps: of image i a picture beside it, uint8 [1,H,W] or [3,H,W], or nil; pictures: of each kind at most, default 8; prevalence: as of `metrics.report`; seed, n: of resamples, default 1 and 1000
---@return boolean? ok, string? message, string? code "io" where it cannot be written
function lx.report.evaluation(path, probabilities, dataset, options) end

--- Reads a table of rules for `lx.report.suggest`. Without a path the one that Luxel has
--- (lua/luxel/report/suggestions.rules), of which a copy may be changed: its first lines say how it is written. Refused
--- are findings that the table does not list, rules without a source or with none of the table, ranges in which nothing
--- is, and rules that may hold together for one finding.
---@param path? string?
---@return luxel.SuggestionRules? rules, string? message, string? code "io"; "format" with line and reason
function lx.report.rules(path) end

--- Writes the page of a training run, from its `log.csv` and models: curves, recipe, model card.
---@param folder string of the run
---@param options? {out?: string, command?: string} out: the file, default `report.html` in the folder; command: how it was run, for the page
---@return string? path, string? message, string? code "io" where there is no run or the page cannot be written, "format" where a file of it is damaged
function lx.report.run(folder, options) end

--- What a model finds in one film: findings with probability, threshold and doubt, maps of where that comes from, and,
--- with `rules`, suggestions for the reader. `print` shows it as text, `write_study` makes a page of it.
---@param predictor luxel.Predictor of two classes, of several, or of labels
---@param source string|{bytes: string, name?: string} a path, or the bytes of a file
---@param options? {explain?: string|false, maps?: integer, rules?: table|boolean, age?: number, urgency?: "routine"|"urgent"} explain: a method of `lx.explain`, default `lx.explain.usual`, or false for no maps; maps: of how many findings at most, default 3: those that the model says are there, or else the likeliest; rules: of `lx.report.rules`, true for those that Luxel has, default none; age: in years; urgency: of the request
---@return luxel.Study? study, string? message, string? code as of `Predictor:predict`
function lx.report.study(predictor, source, options) end

--- Suggestions for the reader, by a table of rules: of each finding a rule may look at probability, doubt, the age of
--- the patient and the urgency of the request, and what it looks at and is not known is said (`unjudged`). Nothing of
--- it is a prescription: a physician decides (`notice`).
---@param findings {finding: string, probability: number, threshold: number?, doubt: number?, uncertain: boolean?}[] threshold: the model's; doubt: from 0 to 0.5, and uncertain, as of answers of `lx.predictor`; _ and capitals in names do not matter
---@param options? {rules?: table, age?: number, urgency?: "routine"|"urgent"} rules: of `lx.report.rules`, default those that Luxel has; age: in years
---@return luxel.Suggestions
function lx.report.suggest(findings, options) end

--- Writes the page of a study. It shows the film and the name of its file.
---@param path string the file
---@param of luxel.Study
---@param options? {command?: string} command: how it was made, for the page
---@return boolean? ok, string? message, string? code "io" where it cannot be written
function lx.report.write_study(path, of, options) end

---@class lx.text
lx.text = {}

--- What a report says of each finding. Headings divide a text, at the beginning of lines ("Findings:") or anywhere in
--- capitals. What was asked (indication) and compared with is no evidence. Words without a cue that reaches them count
--- as present.
---@param report string|{text?: string, findings?: string, impression?: string, indication?: string, comparison?: string}
---@param options? {rules?: table, choice?: "uncertain"|"present"} rules: of `lx.text.rules`, default those of chest radiographs in English; choice: what "atelectasis or scarring" says of each, default "uncertain" as for CheXpert's labeler; "present" is how indexers of MeSH take it
---@return luxel.Labels
function lx.text.label(report, options) end

--- Reads a tokenizer that `Tokenizer:save` wrote.
---@param path string
---@return luxel.Tokenizer? tokenizer, string? message, string? code "io", or "format" where the file is damaged
function lx.text.load_tokenizer(path) end

--- Reads a file of rules for `lx.text.label`. Without a path the rules that Luxel has (lua/luxel/text/chest.rules), of
--- which a copy may be changed: its first lines say how it is written.
---@param path? string?
---@return luxel.Rules? rules, string? message, string? code with the line and the reason where the file has a mistake
function lx.text.rules(path) end

--- Makes reports searchable: `lx.text.search(reports)("small effusion, no pneumothorax")`. Findings, impression and
--- text under no heading count, indication and comparison do not. Denial and doubt are told apart where the rules know
--- them: a search for an effusion passes over reports that deny one, "no effusion" finds these, and one in doubt counts
--- as one too. Words are compared as they are written but for capitals; findings also by what the rules know of them.
---@param reports (string|{text: string?, findings: string?, impression: string?})[]
---@param options? {rules?: table|false, k1?: number, b?: number} rules: of `lx.text.rules`, default those of chest radiographs; false searches for words alone; k1: how soon more of a term counts no more, default 1.2; b: how far long reports count less, 0..1, default 0.75
---@return luxel.ReportSearch
function lx.text.search(reports, options) end

--- Learns from texts which bytes to take together: `lx.text.tokenizer(reports, {vocabulary = 2000})`. The same texts
--- give the same tokenizer, in whatever order they are.
---@param texts string[]
---@param options? {vocabulary?: integer, least?: integer} vocabulary: tokens at most, default 1000, of which 260 are the bytes and four special ones; least: how often a pair has to be there to become a token, default 2
---@return luxel.Tokenizer
function lx.text.tokenizer(texts, options) end

---@class lx.train
lx.train = {}

--- A console on a stream (default standard error). The bar is only drawn where somebody watches.
---@param stream? file*?
---@return luxel.Console
function lx.train.console(stream) end

--- Trains once for each fold (`Frame:folds`, `Dataset:folds`), in the folders fold-1, fold-2, ... of `out`, as `fit`
--- does. What is best on the validation images of a fold says too much of a network that was chosen on them: options of
--- `fit` with best = "last" choose nothing. Ctrl-C ends it, and `resume` goes on: folds that are done stay as they are.
---@param options {folds: (table)[], fit: function, out: string, resume?: boolean, overwrite?: boolean, progress?: table} fit: the options of `lx.train.fit` for a fold, train and val among them, without out, resume and overwrite; it is called again for folds that are done
---@return {folds: table[], interrupted: boolean, save_problem: string?}? result folds: what `fit` returned for each, with its folder as `out`
---@return string? message, string? code as of `fit`
function lx.train.cross_validate(options) end

--- Trains for some steps with a learning rate that rises from `low` to `high`, evenly on a logarithmic scale, and gives
--- the loss of each, smoothed; printed, it is a curve and a rate to begin with: a tenth of that at which the loss is
--- lowest. Network, optimiser and random numbers are as before when it returns; nothing is written. Groups of the
--- optimiser keep their proportions: rates are those of the group with the largest.
---@param options {net: Module, optimizer: table, loss?: function, train: luxel.Dataset, val: luxel.Dataset, epochs: integer, out: string, batch?: integer, size?: integer, threads?: integer, mean?: number, std?: number, enhance?: table, compile?: boolean, scheduler?: table, seed?: integer, augment?: boolean|table, balanced?: boolean, balance?: {groups: table, most?: integer}, dro?: {groups: table, step?: number, adjustment?: number}, drop_last?: boolean, clip?: number, accumulate?: integer, ema?: number, swa?: integer, region?: {object_scale?: number, noobject_scale?: number, class_scale?: number, coord_scale?: number, thresh?: number, rescore?: boolean, bias_match?: boolean, by_size?: boolean}, best?: "auc"|"accuracy"|"dice"|"iou"|"ap50"|"froc"|"loss"|"last"|function, freeze?: string|(string)[], unfreeze?: table, freeze_statistics?: "parts"|"all"|"none", probe?: boolean, keep_features?: table, label_smoothing?: number, mixup?: number, cutmix?: number, mosaic?: number, sizes?: (integer)[], calibration?: "platt"|"temperature"|"isotonic"|"beta"|"none", threshold?: "youden"|number|{sensitivity?: number, specificity?: number, cost?: number, prevalence?: number, false_marks?: number}, calibrate_on?: {logits: (number)[]|(table)[], labels: (number)[]|(table)[], unfamiliar?: (number)[], words?: string}, patience?: integer, halt?: integer, callbacks?: {step?: function, epoch?: function}, metadata?: table, resume?: boolean, overwrite?: boolean, progress?: table, profile?: string} those of `lx.train.fit`, of which it takes what concerns steps; the schedule has no part in it
---@param search? {low?: number, high?: number, steps?: integer} default 1e-7, 10 and 100
---@return {rates: number[], losses: number[], lowest: number?, suggestion: number?, ended: boolean} result ended: the loss grew to four times its least, or to no number, before the last step
function lx.train.find_lr(options, search) end

--- Trains, validating and saving after every epoch into the folder `out`: best.safetensors (largest validation AUC or
--- Dice),
--- last.safetensors (with all that `resume` needs), log.csv, and an event file of the same curves for TensorBoard.
--- Ctrl-C ends it with a usable last.safetensors.
---
--- It computes on the device of the network's parameters, and moves the batches there.
---
--- The task is that of the datasets: of two classes the network gives one logit, of several classes or labels one for
--- each, of a segmentation a map of logits as large as the images, of a detection the map of a region layer (a network
--- with `anchors`, such as `lx.models.yolo_lite`) or the maps of yolo layers (`lx.models.yolov3_tiny`; `loss` has a
--- list of them), whose loss the log has by its parts. Thresholds and the calibration of the probabilities are chosen
--- on the validation set and stored, with how that was done.
---
--- If the device fails or has no memory left, last.safetensors stays as it was after the last epoch, and the weights of
--- the moment go to rescued.safetensors if they can still be read.
---@param options {net: Module, optimizer: table, loss?: function, train: luxel.Dataset, val: luxel.Dataset, epochs: integer, out: string, batch?: integer, size?: integer, threads?: integer, mean?: number, std?: number, enhance?: table, compile?: boolean, scheduler?: table, seed?: integer, augment?: boolean|table, balanced?: boolean, balance?: {groups: table, most?: integer}, dro?: {groups: table, step?: number, adjustment?: number}, drop_last?: boolean, clip?: number, accumulate?: integer, ema?: number, swa?: integer, region?: {object_scale?: number, noobject_scale?: number, class_scale?: number, coord_scale?: number, thresh?: number, rescore?: boolean, bias_match?: boolean, by_size?: boolean}, best?: "auc"|"accuracy"|"dice"|"iou"|"ap50"|"froc"|"loss"|"last"|function, freeze?: string|(string)[], unfreeze?: table, freeze_statistics?: "parts"|"all"|"none", probe?: boolean, keep_features?: table, label_smoothing?: number, mixup?: number, cutmix?: number, mosaic?: number, sizes?: (integer)[], calibration?: "platt"|"temperature"|"isotonic"|"beta"|"none", threshold?: "youden"|number|{sensitivity?: number, specificity?: number, cost?: number, prevalence?: number, false_marks?: number}, calibrate_on?: {logits: (number)[]|(table)[], labels: (number)[]|(table)[], unfamiliar?: (number)[], words?: string}, patience?: integer, halt?: integer, callbacks?: {step?: function, epoch?: function}, metadata?: table, resume?: boolean, overwrite?: boolean, progress?: table, profile?: string} loss: default binary cross-entropy of logits, of many classes cross-entropy, of masks binary cross-entropy plus the Dice loss, both over the images that have one, of boxes `F.region_loss` or the sum of `F.yolo_loss` over the maps, with the options `region` (thresh is `ignore` there); mean, std: what is subtracted from images of 0 to 1, and then divided by; default what pretrained weights want (`net.pretrained`), or 0.5 and 0.25; augment, balanced, balance, size, threads, drop_last: as of `lx.data.batches`; enhance: steps without chance that every image goes through, in training before the augmentation, and in validation; accumulate: so many batches make one step of the optimiser, as if they were one; ema: decay of an average of the weights over the steps (0.999, say), which is what is validated and kept as the best; swa: the first of the epochs whose last weights are averaged instead (stochastic weight averaging), with statistics of batch normalisation computed anew after each; it wants a learning rate that stays up; best: what the best epoch has the largest (of "loss" the smallest) of, default "auc", "dice" or "ap50", "last" for the last epoch whatever it is like, or a function of {loss, epoch, accuracy, auc, dice, iou, ap50, froc, ...}; patience: ends the run after so many epochs without a better one; halt: ends this part of the run after that epoch, to be gone on with by `resume`; freeze: patterns as of `Module:freeze`, of what does not learn; unfreeze: what of it learns from the beginning of which epoch on, {[3] = "blocks.6", [5] = "*"}, of parameters that the optimiser has; freeze_statistics: which batch normalisation keeps its running statistics and normalises by them: that of frozen "parts" (the default), "all" or "none"; probe: all but the last layer, a Linear, is frozen, and its inputs are computed once for each image (without dropout), which makes an epoch quick; not with augment; keep_features: a table in which these inputs are kept, for later runs with the same weights on some of the same images, folds for example; dro: group distributionally robust optimisation (Sagawa et al. 2020): each group's images of each class count by a weight that grows with their loss; groups: the group of each training image; step: of the weights, default 0.01; adjustment: over the square root of its number of images is added to the loss of each, default 0; `loss` has to count targets that are NaN for nothing; label_smoothing: this share of every label goes to all answers alike; mixup, cutmix: images are mixed with others of their batch (`lx.data.mixup`, `lx.data.cutmix`), with this alpha; with both, each batch by one of them; mosaic: so large a share of images with boxes is put together of four (`lx.data.mosaic`); sizes: of detectors, those of training images instead of `size`, which validation keeps: as of `lx.data.batches`. With the first three the targets of many classes are shares [B,K], which the loss has to take as `F.cross_entropy` does; calibration: as of `lx.calibration.fit`, default "platt"; of many classes "temperature" or "none"; threshold: "youden" (the default), a number, or the one at a sensitivity, a specificity, or the least cost, where a miss costs as much as `cost` false alarms; of two classes and of each label; of boxes the score with at most so many false_marks an image, default 0.25, or a number; calibrate_on: logits and labels of the images that calibration, threshold and conformal limits of two classes or of labels (rows of them) are fitted to instead of the validation images, such as `left_out` of `lx.train.shift`, which are more like those of another hospital, and in words what they are; unfamiliar: as of `Predictor:logits`, of two classes, by which it is chosen how much that counts for doubt; callbacks: called with what the console shows after each step and each epoch; "stop" as the result ends the run; scheduler: steps after each step of the optimiser, each epoch or each validation, as its kind wants (`unit`); resume, overwrite: what to do with a run that `out` holds already; metadata: more to keep in the model's file; with {model = "resnet18", size = 64}, name and size of a network of `lx.models`, `lx.predictor` and `luxel predict` can answer with it; `network` are other options that it was built with, such as {width = 16} of unet, and `classes` the words of answers, default those of the datasets; compile: false calls network, loss and backward in each step instead of replaying what `lx.compile` recorded; profile: file for a trace of a few steps after the first ones; what they spent their time on is shown too
---@return {best: table?, epoch: integer, interrupted: boolean, save_problem: string?}? result best: the epoch whose model is in best.safetensors, nil if there is none; save_problem: what could not be saved, and why
---@return string? message, string? code "io", "format", "busy" (another run writes into `out`), "exists", "diverged", "device" or "memory"
function lx.train.fit(options) end

--- Trains once for each seed, in the folders seed-1, seed-2, ... of `out` (called by the seeds), as `fit` does. Two
--- ways of training differ only if their figures differ by more than those of one way do. Ctrl-C ends it, and `resume`
--- goes on: runs that are done stay as they are.
---@param options {seeds: integer|(integer)[], fit: function, out: string, resume?: boolean, overwrite?: boolean, progress?: table} seeds: their number, for 1, 2, ..., or a list; fit: the options of `lx.train.fit` for a seed, without out, resume and overwrite; it has to use the seed for the first weights (`lx.manual_seed`), and `fit` takes it for the order and the augmentation unless the options name another one
---@return {runs: table[], seeds: integer[], figures: table<string, table>, interrupted: boolean, save_problem: string?}? result runs: what `fit` returned for each, with its folder as `out`; figures: of the best epochs, by name (loss, auc, accuracy, ...), {mean, deviation, least, most, count}
---@return string? message, string? code as of `fit`
function lx.train.over_seeds(options) end

--- The logit of every image of a dataset, in order, without augmentation, computed where the network is; a row of them
--- where the network gives several, a map of them [1,S,S] where it tells pixels, the map that boxes are read from of a
--- detector, or a list of its maps. One that is not finite is an error that names the image.
---@param net Module
---@param dataset luxel.Dataset
---@param options? {batch?: integer, size?: integer, threads?: integer, mean?: number, std?: number, enhance?: table, compile?: boolean, probabilities?: boolean, task?: "binary"|"classes"|"labels"|"segmentation"|"detection", calibration?: table|false, features?: boolean, idle?: function, tta?: boolean|{flips?: boolean, shift?: number}, progress_of?: function} batch: images at a time, default 32, on processors fewer where they are large; mean 0.5 and std 0.25 by default, or what pretrained weights want (`net.pretrained`), as of `fit`; compile: false calls the network each time instead of replaying what `lx.compile` recorded; size and threads: as of `lx.data.batches`; enhance: steps that each image goes through, as in training but without chance; probabilities: instead of logits, calibrated by `calibration` (as of a model's metadata) where there is one: by sigmoids, or of the task "classes" by softmax; task: default that of the dataset; features: also what a classifier of `lx.models` makes of the images before its head, each channel's mean over the map, and what the pictures are like by themselves (a thumbnail, and the detail at three scales); tta: the mean of the logits of several views (test-time augmentation): mirrored or not (flips, default true: for networks that learned from mirrored images), and each as it is and moved by this share of the sides in four ways (shift, default 0.02); maps are mirrored alone, and back
---@return number[]|number[][]|Tensor[]|Tensor[][] logits, Tensor? features float32 [N,C] on the cpu, of the images as they are
function lx.train.predict(net, dataset, options) end

--- Writes a network's weights without anything to predict with, for networks to begin with: what `pretrained` of
--- `lx.models` and `luxel train --pretrained` take, with what the weights want as input. For networks that learned
--- something else than the task, by themselves for example.
---@param path string
---@param net Module a network of `lx.models` with one output, which need not have learnt anything
---@param options {model: string, size: integer, mean?: number, std?: number, seed?: integer} model: its name; size: side of the images that it learned from, in pixels; mean, std: what was subtracted from images of 0 to 1, and what they were then divided by, default 0.5 and 0.25; seed: default 0
---@return boolean? ok, string? message, string? code
function lx.train.save_weights(path, net, options) end

--- Searches for hyper-parameters: draws `trials` candidates, trains them in the folders trial-1, trial-2, ... of `out`,
--- and compares what `fit` found to be best of each (`best`, "auc" by default) on the validation images. With "halving"
--- all are trained for `first` epochs, the best third (1 / eta) of them for eta times as many, and so on; a run that is
--- gone on with has the bits of one that was never stopped, and its schedule is that of all epochs. With "random" each
--- is trained to the end. What is best on the validation images is better there than it will be elsewhere.
---
--- Ctrl-C ends it, and `resume` goes on; what is known of each candidate is in search.json.
---@param options {space: table, epochs: integer, trials?: integer, method?: "halving"|"random", eta?: integer, first?: integer, seed?: integer, fit: function, out: string, resume?: boolean, overwrite?: boolean, progress?: table} space: for each name a list of values, or {low =, high =, log = true, integer = true}; fit: the options of `lx.train.fit` for such values, without epochs, out, resume and overwrite; epochs: of a whole run; trials: default 16; method: default "halving"; eta: default 3; first: default 1
---@return {best: table?, trials: table[], interrupted: boolean, save_problem: string?}? result trials: the best first, {number, values, epochs (that it was trained for), value, loss and epoch of its best epoch, diverged, out}
---@return string? message, string? code as of `fit`
function lx.train.search(options) end

--- Trains once for each fold and seed, as `fit` does, in the folders GROUP-seed-N of `out`, and judges each network on
--- the group that it has not seen, and on images from elsewhere. Folds are of `Dataset:leave_group_out`. Epoch,
--- calibration and threshold are chosen on the validation images that `fit` is given, which are to be split from the
--- training images of the fold. Two classes. Ctrl-C ends it, and `resume` goes on.
---@param options {folds: (table)[], seeds?: (integer)[], outsides?: table, fit: function, out: string, resume?: boolean, overwrite?: boolean, progress?: table} fit: the options of `lx.train.fit` with metadata = {model, size} for a fold and a seed, without out, resume and overwrite; seeds: default {1}; outsides: datasets by name that no network is trained on
---@return {groups: table[], outsides: table[], worst: table?, mean: table, left_out: {logits: number[], labels: number[], unfamiliar: number[]?}, interrupted: boolean}? result rows with name, images (that have a label), positives, auc, accuracy, sensitivity, specificity, brier, ece and intervals by patient over all seeds, each network at its own threshold; nil figures where a group is of one class; worst: the row of the least accuracy; left_out: what all networks give for the images that they have not seen, for `calibrate_on` of `fit`; unfamiliar: as of `Predictor:logits`, where every network tells
---@return string? message, string? code as of `fit`
function lx.train.shift(options) end

---@class lx.vision
lx.vision = {}

--- white · (level / white) ^ exponent: below 1 brightens, above 1 darkens.
---@param image Tensor
---@param exponent number above 0
---@param options? {white?: number} white: the level that is white, default 255
---@return Tensor of the shape and dtype of the image
function lx.vision.adjust_gamma(image, exponent, options) end

--- Turns, scales, shears and shifts about the middle, as torchvision's `affine`.
---@param image Tensor
---@param options? {angle?: number, translate?: (number)[], scale?: number, shear?: (number)[], size?: integer|integer[], mode?: "nearest"|"bilinear"|"bicubic", border?: "constant"|"replicate"|"reflect"|"reflect101"|"wrap", fill?: number} angle in degrees (here counter-clockwise), translate {x, y} in pixels, shear {x, y} in degrees
---@return Tensor
function lx.vision.affine(image, options) end

--- Smooths what is alike and keeps edges (Tomasi and Manduchi 1998).
---@param image Tensor
---@param radius integer pixels
---@param level number deviation in levels
---@param space number deviation in pixels
---@return Tensor of the shape and dtype of the image
function lx.vision.bilateral_filter(image, radius, level, space) end

--- The closing less the image: what is dark and small.
---@param image Tensor
---@param size integer odd
---@param options? {shape?: "rectangle"|"cross"|"ellipse"} shape: default "rectangle"
---@return Tensor of the shape and dtype of the image
function lx.vision.black_hat(image, size, options) end

--- The mean of size × size samples.
---@param image Tensor
---@param size integer odd
---@return Tensor of the shape and dtype of the image
function lx.vision.box_blur(image, size) end

--- Edges (Canny 1986): 255 where the gradient is a ridge above `high`, or above `low` and connected to such a one.
---@param image Tensor uint8
---@param low number
---@param high number
---@return Tensor uint8, 0 or 255
function lx.vision.canny(image, low, high) end

--- Cuts out the middle.
---@param image Tensor
---@param height integer
---@param width integer
---@param options? {border?: "constant"|"replicate"|"reflect"|"reflect101"|"wrap", fill?: number}
---@return Tensor
function lx.vision.centre_crop(image, height, width, options) end

--- Contrast-limited adaptive histogram equalisation (Zuiderveld 1994), counted in 256 levels whatever the dtype: on
--- uint8 to the bit what OpenCV's CLAHE gives, and on float32 the same but finer, between those levels by straight
--- lines. (OpenCV counts 16 bits in 65,536 levels, where the limit does nothing.)
---@param image Tensor
---@param options? {clip?: number, tiles?: integer, white?: number} clip: the most that a level counts, times the mean, 0 for no limit; tiles: each way
---@return Tensor of the shape and dtype of the image
function lx.vision.clahe(image, options) end

--- Dilated, then eroded: without what is smaller than the shape and dark.
---@param image Tensor
---@param size integer odd
---@param options? {shape?: "rectangle"|"cross"|"ellipse"} shape: default "rectangle"
---@return Tensor of the shape and dtype of the image
function lx.vision.closing(image, size, options) end

--- Numbers the connected components of what is not 0: 1, 2, ... as rows from the top meet them, 0 for the rest.
---@param image Tensor one channel
---@param options? {diagonal?: boolean} diagonal: whether over corners too, default true
---@return Tensor labels int32 [H,W]
---@return {area: integer, x: integer, y: integer, w: integer, h: integer, cx: number, cy: number}[] for each: pixels, box, and centroid in pixels from the top left corner
function lx.vision.connected_components(image, options) end

--- Cuts out a box; what of it is outside the image is filled.
---@param image Tensor
---@param box {x: integer, y: integer, w: integer, h: integer} pixels from the top left
---@param options? {border?: "constant"|"replicate"|"reflect"|"reflect101"|"wrap", fill?: number}
---@return Tensor
function lx.vision.crop(image, box, options) end

--- The same of a file's bytes.
---@param bytes string
---@param options? {channels?: 1|3, bits?: 8, raw?: boolean, orientation?: boolean, voi?: "lut"|"window", frame?: integer, identifiers?: boolean, name?: string} as for `load`, and name: of the image, for messages
---@return Tensor? image, luxel.ImageInfo|string info, string? code
function lx.vision.decode(bytes, options) end

--- The largest of the neighbours.
---@param image Tensor
---@param size integer odd
---@param options? {shape?: "rectangle"|"cross"|"ellipse"} shape: default "rectangle"
---@return Tensor of the shape and dtype of the image
function lx.vision.dilate(image, size, options) end

--- Outlines a mask: the pixels inside it that are near its edge.
---@param image Tensor uint8 [1,H,W] or [3,H,W]
---@param mask Tensor uint8 [H,W] or [1,H,W], not 0 inside
---@param options? {colour?: integer[], thickness?: integer} colour: default yellow; thickness: pixels, default 1
---@return Tensor a new image, [3,H,W]
function lx.vision.draw_mask(image, mask, options) end

--- Outlines a rectangle.
---@param image Tensor uint8 [1,H,W] or [3,H,W]
---@param box {x: integer, y: integer, w: integer, h: integer} pixels from the top left
---@param options? {colour?: integer[], thickness?: integer} colour: default yellow; thickness: pixels, default 1
---@return Tensor a new image
function lx.vision.draw_rect(image, box, options) end

--- Writes text; x, y is the top left corner in pixels.
---@param image Tensor uint8 [C,H,W]
---@param x integer
---@param y integer
---@param text string
---@param options? {colour?: integer[], scale?: integer} colour: default white; scale: default 1
---@return Tensor a new image
function lx.vision.draw_text(image, x, y, text, options) end

--- Histogram equalisation: every level as often as the others, as far as that goes. On uint8 to the bit what OpenCV's
--- equalizeHist gives; float32 is divided into 65,536 levels.
---@param image Tensor
---@param options? {white?: number} white: the level that is white, default 255
---@return Tensor of the shape and dtype of the image
function lx.vision.equalize(image, options) end

--- The smallest of the neighbours; what is beyond the edge does not count.
---@param image Tensor
---@param size integer odd
---@param options? {shape?: "rectangle"|"cross"|"ellipse"} shape: default "rectangle"
---@return Tensor of the shape and dtype of the image
function lx.vision.erode(image, size, options) end

--- Fills a rectangle; alpha 1 covers what was there.
---@param image Tensor uint8 [1,H,W] or [3,H,W]
---@param box {x: integer, y: integer, w: integer, h: integer} pixels from the top left
---@param options? {colour?: integer[], alpha?: number} colour: default black; alpha: default 1
---@return Tensor a new image
function lx.vision.fill_rect(image, box, options) end

--- Where both lungs are in a frontal chest radiograph, air being dark, with a margin; without the dark bars that some
--- pictures have at their edges. By levels and groups alone, without a trained model: docs/lungs.md says how good that
--- is. Where nothing is found it is the whole picture but the bars.
---@param image Tensor one image; of colours the first channel is looked at
---@return {x: integer, y: integer, w: integer, h: integer} pixels from the top left
function lx.vision.find_lungs(image) end

--- Text and markers on a radiograph, burned in or laid on it when it was taken: letters for the side, times, names of
--- devices. Small, bright groups with sharp edges in the outer parts of the picture, those of a line as one; by levels
--- and groups alone, without a trained model, so that now and then a bone is among them: docs/shortcuts.md.
---@param image Tensor one channel, of levels 0..255
---@return {x: integer, y: integer, w: integer, h: integer, contrast: number}[] boxes in pixels from the top left, at most 16, in the order of rows; contrast: levels above what is around it
function lx.vision.find_markers(image) end

--- Smooths with a Gaussian.
---@param image Tensor
---@param sigma number pixels
---@return Tensor of the shape and dtype of the image
function lx.vision.gaussian_blur(image, sigma) end

--- Mirrored left to right.
---@param image Tensor
---@return Tensor of the shape and dtype of the image
function lx.vision.hflip(image) end

--- How many samples there are of each of `bins` equal parts of the scale.
---@param image Tensor
---@param options? {bins?: integer, white?: number} bins: default 256; white: default 255
---@return integer[]
function lx.vision.histogram(image, options) end

--- Black becomes white, and white black.
---@param image Tensor
---@param options? {white?: number} white: the level that is white, default 255
---@return Tensor of the shape and dtype of the image
function lx.vision.invert(image, options) end

--- The sum of the second derivatives.
---@param image Tensor
---@return Tensor float32
function lx.vision.laplacian(image) end

--- Reads an image file of one of `vision.formats`.
---
--- Files of 8 bits give uint8; deeper ones float32 in the units that the file stores, or with bits = 8 uint8 too:
--- DICOM through its table of levels or first window (or from the smallest to the largest value of the image where the
--- file has neither), others from 0 to the largest level of the bits in use. Of DICOM files the values are rescaled
--- (slope and intercept, or table), and MONOCHROME1 is inverted, so that white is always at the large end; so is
--- MinIsWhite of TIFF files. Signed, long and floating samples of TIFF files and MetaImages are units of their own:
--- their smallest is black and their largest white. With raw = true they are as they are stored. Padding of DICOM files
--- is black wherever levels are asked for. Pictures are turned upright as EXIF and TIFF say.
---@param path string
---@param options? {channels?: 1|3, bits?: 8, raw?: boolean, orientation?: boolean, voi?: "lut"|"window", frame?: integer, identifiers?: boolean} channels 1 (grey, the default) or 3; orientation = false leaves the picture as it is stored; voi = "window" prefers a window to a table of levels where a DICOM file has both; frame of a DICOM file or slice of a MetaImage (needed where it has several) or page of a TIFF file (default the first), from 1; identifiers: also what names the patient (name, id, dates, UIDs)
---@return Tensor? image [C,H,W]; nil if it cannot be read
---@return luxel.ImageInfo|string info what the file says, or the message
---@return string? code "io" or "format"
function lx.vision.load(path, options) end

--- Reads several files at a time, each as `load` does.
---@param paths string[] 1 to 4096
---@param options? {channels?: 1|3, bits?: 8, raw?: boolean, orientation?: boolean, voi?: "lut"|"window", frame?: integer, identifiers?: boolean} as for `load`
---@return {image: Tensor?, info: luxel.ImageInfo?, message: string?, code: string?}[] films in order; with a message and a code ("io", "format", "memory") instead where a file cannot be read
function lx.vision.load_all(paths, options) end

--- Cuts out the part with both lungs.
---@param image Tensor one image
---@return Tensor
---@return {x: integer, y: integer, w: integer, h: integer} where it was, in pixels from the top left
function lx.vision.lung_crop(image) end

--- The smallest box around what a mask shows, with a margin. Specks are left out: components of less than `least` of
--- the largest one's pixels.
---@param mask Tensor uint8, one channel; not 0 is inside
---@param options? {margin?: number, least?: number} margin: share of the box's sides that is added on each side, as far as there is picture, default 0.05; least: default 0.1
---@return {x: integer, y: integer, w: integer, h: integer}? box pixels from the top left; nil where the mask is empty
function lx.vision.mask_box(mask, options) end

--- The median of size × size samples: takes specks away and keeps edges.
---@param image Tensor
---@param size integer odd
---@return Tensor of the shape and dtype of the image
function lx.vision.median_blur(image, size) end

--- Dilated minus eroded: the outlines.
---@param image Tensor
---@param size integer odd
---@param options? {shape?: "rectangle"|"cross"|"ellipse"} shape: default "rectangle"
---@return Tensor of the shape and dtype of the image
function lx.vision.morphological_gradient(image, size, options) end

--- Stretches the levels between two percentiles over the whole scale.
---@param image Tensor
---@param options? {low?: number, high?: number, white?: number} low, high: shares
---@return Tensor of the shape and dtype of the image
function lx.vision.normalize_percentile(image, options) end

--- Eroded, then dilated: without what is smaller than the shape and bright.
---@param image Tensor
---@param size integer odd
---@param options? {shape?: "rectangle"|"cross"|"ellipse"} shape: default "rectangle"
---@return Tensor of the shape and dtype of the image
function lx.vision.opening(image, size, options) end

--- The level that divides the samples into two classes the best (Otsu 1979); the brighter one is above it.
---@param image Tensor one channel
---@param options? {white?: number} white: the level that is white, default 255
---@return number
function lx.vision.otsu(image, options) end

--- Adds a border (or, where a number is negative, cuts off).
---@param image Tensor
---@param edges integer|integer[] pixels on every side, or {left, top, right, bottom}
---@param options? {border?: "constant"|"replicate"|"reflect"|"reflect101"|"wrap", fill?: number}
---@return Tensor
function lx.vision.pad(image, edges, options) end

--- The level that a share of all samples is not above; between two samples, between their levels, as NumPy has it.
---@param image Tensor
---@param share number 0..1
---@param options? {white?: number} white: the level that is white, default 255
---@return number
function lx.vision.percentile(image, share, options) end

--- A pipeline of the given steps, checked. Each step is {name, options}; `p` is how often it is done (1 unless said
--- otherwise). Ranges are {low, high}, or a number r for "up to r either way".
---
--- Movement: `hflip`, `vflip` (p 0.5), `rot90`, `rotate` (degrees, counter-clockwise), `shift` (x, y: shares of the
--- side), `shear` (x, y: degrees), `zoom` (factor, aspect), `perspective` (distortion), `random_resized_crop` (area,
--- ratio), `centre_crop` (share), `elastic` (shift: share of the side, cells), `resize` (marks the place of the warp).
--- Levels: `brightness`, `contrast`, `sharpness` (factor), `offset` (grey levels of 255 that are added), `gamma`
--- (exponent), `tone` (a random monotone curve of levels, strength 0 to 1), `noise` (sigma in grey levels of 255),
--- `blur` (sigma in pixels), `equalize`, `clahe` (clip, tiles), `autocontrast` (cutoff share), `invert`, `solarize`
--- (threshold), `posterize` (bits), `median` (size), `jpeg` (quality 1 to 100: what JPEG loses, as a grey image),
--- `random_erasing` (area, ratio, value; -1: noise, -2: the mean; p 0.5), `resolution` (share of the pixels of a side
--- that a coarser detector has), `marker` (a letter or number near a corner; size: its height as a share of the
--- picture's, level; -1: mostly bright, at times dark; p 0.5), `style` (strength 0 to 1: the levels go this share of
--- the way to those of another image, by histogram matching; of the dataset in `lx.data.batches`, or of `styles`),
--- `border` (share of each side that is covered, level; -1: a random one, -2: the mean; p 0.5). Choices: `one_of` (of a
--- list of steps, as in {"one_of", {{"blur"}, {"jpeg"}}}), `some_of` (n, or {low, high}; steps: the list), each in the
--- list's order and with its own p, `rand_augment` (n, m of 30; Cubuk et al. 2020, without colours; with n = 1 and m =
--- {0, 30} it is TrivialAugment).
---@param steps table[] with the options size = side or {height, width}, fit = "stretch" | "pad" | "crop" (where the sides are not in the same proportion), fill = "replicate" | "reflect" | "reflect101" | "wrap" | grey level, styles = list of images for the step `style`
---@return luxel.Pipeline
function lx.vision.pipeline(steps) end

--- The steps of a named augmentation, a new list that may be changed, for `lx.vision.pipeline` and the option
--- `augment` of `lx.data.batches` and `lx.train.fit`. `full` moves pictures (mirrored, turned, moved, scaled), `strong`
--- also changes brightness, contrast and gamma, and `style` instead what differs between hospitals and machines: the
--- distribution and curve of levels, sharpness, resolution, borders, markers, noise and JPEG, and erased rectangles.
---@param name "none"|"flips"|"full"|"strong"|"style"
---@return table[] steps
function lx.vision.preset(name) end

--- The header of an image file, without its pixels.
---@param path string
---@param options? {identifiers?: boolean, orientation?: boolean} orientation = false: the size before it is turned upright
---@return luxel.ImageInfo?, string?, string?
function lx.vision.probe(path, options) end

--- What speaks against reading a picture as a frontal chest radiograph; an empty list if nothing does.
---@param image Tensor [1,H,W] or [H,W], uint8, or float32 on the scale 0..255
---@param info? table|{limits?: {blank?: number, dark?: number, bright?: number, contrast?: number, clipped?: number, blurred?: number, small?: number}} of `vision.load`: then a deeper image may be in its file's units; those of DICOM files are better loaded with bits = 8, which shows them through their window
---@param options? {limits?: {blank?: number, dark?: number, bright?: number, contrast?: number, clipped?: number, blurred?: number, small?: number}} other limits than those above, by name; `info` may be left out
---@return luxel.Finding[]
function lx.vision.quality(image, info, options) end

--- Resizes.
---
--- With antialiasing, shrinking averages every pixel, and results are those of Pillow to one grey level; without,
--- they are those of OpenCV. "area" is the mean of what an output pixel covers, "nearest" copies pixels.
---@param image Tensor
---@param height integer
---@param width integer
---@param options? {mode?: "nearest"|"bilinear"|"bicubic"|"area"|"lanczos", antialias?: boolean}
---@return Tensor of the same type, with the last two sizes height and width
function lx.vision.resize(image, height, width, options) end

--- Turned by quarters, counter-clockwise.
---@param image Tensor
---@param times? integer? default 1
---@return Tensor
function lx.vision.rot90(image, times) end

--- Turns about the middle, counter-clockwise; with `expand` the result is as large as it must be to hold all.
---@param image Tensor
---@param degrees number
---@param options? {expand?: boolean, mode?: "nearest"|"bilinear"|"bicubic", border?: "constant"|"replicate"|"reflect"|"reflect101"|"wrap", fill?: number}
---@return Tensor
function lx.vision.rotate(image, degrees, options) end

--- Writes a PNG; the old file stays until the new one is complete.
---@param path string
---@param image Tensor uint8 [1,H,W] or [3,H,W]
---@return boolean? ok, string? message, string? code
function lx.vision.save(path, image) end

--- Sobel's derivatives, 3×3.
---@param image Tensor
---@param dx integer order of the derivative across, 0..2
---@param dy integer down
---@return Tensor float32
function lx.vision.sobel(image, dx, dy) end

--- How steep the picture is: the length of the vector of Sobel's two first derivatives.
---@param image Tensor
---@return Tensor float32
function lx.vision.sobel_magnitude(image) end

--- The size of a text in pixels, all of its lines together.
---@param text string
---@param scale? integer?
---@return integer width, integer height
function lx.vision.text_size(text, scale) end

--- 255 where the image is above the level, else 0.
---@param image Tensor
---@param level number
---@return Tensor uint8
function lx.vision.threshold(image, level) end

--- The image in three channels, for colours to be drawn on it.
---@param image Tensor uint8 [1,H,W] or [3,H,W]
---@return Tensor uint8 [3,H,W]
function lx.vision.to_rgb(image) end

--- The image less its opening: what is bright and small.
---@param image Tensor
---@param size integer odd
---@param options? {shape?: "rectangle"|"cross"|"ellipse"} shape: default "rectangle"
---@return Tensor of the shape and dtype of the image
function lx.vision.top_hat(image, size, options) end

--- Sharpens: adds `amount` times what a Gaussian takes away.
---@param image Tensor
---@param options? {sigma?: number, amount?: number, white?: number} sigma: pixels
---@return Tensor of the shape and dtype of the image
function lx.vision.unsharp_mask(image, options) end

--- Mirrored top to bottom.
---@param image Tensor
---@return Tensor of the shape and dtype of the image
function lx.vision.vflip(image) end

--- Warps by an affine matrix {a, b, c, d, e, f} that takes the point (x, y) of the image to (ax + by + c, dx + ey + f).
---@param image Tensor
---@param matrix number[] six numbers
---@param options? {size?: integer|integer[], mode?: "nearest"|"bilinear"|"bicubic", border?: "constant"|"replicate"|"reflect"|"reflect101"|"wrap", fill?: number} size {height, width} of the result, mode "nearest", "bilinear" or "bicubic"; border "constant" (fill 0), "replicate", "reflect", "reflect101", "wrap"
---@return Tensor
function lx.vision.warp_affine(image, matrix, options) end

--- Warps by a perspective matrix of nine numbers, rows first, that takes points of the image to where they are seen.
---@param image Tensor
---@param matrix number[] nine numbers
---@param options? {size?: integer|integer[], mode?: "nearest"|"bilinear"|"bicubic", border?: "constant"|"replicate"|"reflect"|"reflect101"|"wrap", fill?: number} as of warp_affine
---@return Tensor
function lx.vision.warp_perspective(image, matrix, options) end

--- Shows a window of levels: centre - width / 2 becomes black, centre + width / 2 white, and what is beyond is cut off.
---@param image Tensor
---@param centre number
---@param width number above 0
---@param options? {white?: number} white: of the result, default 255
---@return Tensor of the shape and dtype of the image
function lx.vision.window(image, centre, width, options) end

---@class lx.vision.boxes
lx.vision.boxes = {}

--- Anchors for boxes of these sizes, by k-means with 1 - iou as the distance (Redmon and Farhadi 2017), the best of
--- several starts.
---@param sizes number[][]|Tensor {width, height} each, or [K,2], in the unit that the anchors are to have
---@param k integer
---@param options? {seed?: integer, starts?: integer} seed: default 1; starts: default 5
---@return number[][]? anchors {width, height} each, the smallest first; nil where there are fewer different sizes
---@return number|string iou the mean over boxes of that with their best anchor; or why nil
function lx.vision.boxes.anchors(sizes, k, options) end

--- Boxes in another form: "corners" {x1, y1, x2, y2}, "centre" {x, y, w, h} around the centre, "size" {x, y, w, h} from
--- the first corner. Differentiable.
---@param b Tensor [K,4]
---@param from "corners"|"centre"|"size"
---@param to "corners"|"centre"|"size"
---@return Tensor [K,4] new, unless both forms are the same
function lx.vision.boxes.convert(b, from, to) end

--- What the map before a region layer says (Redmon and Farhadi 2017): for each anchor of each cell a box, how sure it
--- is that there is an object, and which class it would be of. A box stands once for each class whose probability, that
--- of an object times that of the class, is above `threshold`; `nms` with `classes` suppresses within each.
---@param map Tensor [N,anchors (5 + classes),H,W] before activations, as `lx.io.darknet` networks give it
---@param options {anchors: (table)[], threshold?: number} anchors: {width, height} each, in cells; threshold: default 0.5
---@return {boxes: Tensor, scores: Tensor, classes: Tensor}[] images boxes [k,4], corners as fractions of the image, at most 1e6 of its sides wide and high; scores [k]; classes int32 [k], from 1
function lx.vision.boxes.decode_region(map, options) end

--- What the map before a [yolo] layer says (Redmon and Farhadi 2018): as `decode_region`, but each class has a sigmoid
--- of its own, and anchors are in pixels. Of a network with several such maps, the boxes of all go into one `nms`.
---@param map Tensor [N,anchors (5 + classes),H,W] before activations, as `lx.io.darknet` networks give it
---@param options {anchors: (table)[], size: integer|integer[], threshold?: number} anchors: {width, height} each, in pixels of the network's images, those of this map alone; size: of these images, {height, width} or both as one; threshold: default 0.5
---@return {boxes: Tensor, scores: Tensor, classes: Tensor}[] images as of `decode_region`
function lx.vision.boxes.decode_yolo(map, options) end

--- Distance intersection over union (Zheng et al. 2020): iou less the square of the distance of the centres, over that
--- of the diagonal of the smallest box around both.
---@param a Tensor [N,4]
---@param b Tensor [M,4]
---@return Tensor [N,M] above -1, up to 1
function lx.vision.boxes.diou(a, b) end

--- Generalised intersection over union (Rezatofighi et al. 2019): iou less the share of the smallest box around both
--- that is in neither.
---@param a Tensor [N,4]
---@param b Tensor [M,4]
---@return Tensor [N,M] above -1, up to 1
function lx.vision.boxes.giou(a, b) end

--- Intersection over union of each box with each other one: 0 where they do not overlap, or have no area.
---@param a Tensor [N,4]
---@param b Tensor [M,4]
---@return Tensor [N,M] 0 to 1; differentiable, as the others
function lx.vision.boxes.iou(a, b) end

--- A loss of boxes beside those that they should be, 1 less their overlap. Of boxes that do not touch, "iou" has no
--- gradient; the others have.
---@param prediction Tensor [K,4]
---@param target Tensor [K,4]
---@param options? {kind?: "iou"|"giou"|"diou", reduction?: "mean"|"sum"|"none"} kind: default "giou"; reduction: default "mean"
---@return Tensor loss 0-d, or [K] for "none"
function lx.vision.boxes.loss(prediction, target, options) end

--- Non-maximum suppression: of boxes that overlap by more than `iou`, the one of the best score stays. "hard" leaves
--- the others out; "linear" and "gaussian" (Bodla et al. 2017) take from their scores, and leave out what falls below
--- `least`. On the cpu, whatever the device.
---@param b Tensor [K,4]
---@param scores Tensor [K]
---@param options? {iou?: number, method?: "hard"|"linear"|"gaussian", classes?: Tensor, sigma?: number, least?: number} iou: default 0.45; method: default "hard"; classes: int32 [K], boxes of different classes do not suppress each other; sigma: of "gaussian", default 0.5; least: of the soft methods, default 0.001
---@return Tensor places int32 [k] from 1, the best first; of equal scores the earlier one
---@return Tensor scores float32 [k], what is left of them
function lx.vision.boxes.nms(b, scores, options) end

--- Boxes around what is high in a map, as those of `lx.explain` or `lx.anomaly`: one around each connected component of
--- what is at least `share` of its largest value (Zhou et al. 2016, who take 0.2, and of that the largest component),
--- or at least `level`. Where nothing is above 0 there is none.
---@param map Tensor float32 [H,W] or [1,H,W]
---@param options? {share?: number, level?: number, least?: integer} share: default 0.2, not beside `level`; least: a component has so many pixels, default 1
---@return Tensor b [K,4] corners in pixels of the map, the best first
---@return Tensor scores [K], the largest value in each
function lx.vision.boxes.of_map(map, options) end

--- Boxes of a network's image, in pixels of the image that it was made of.
---@param b Tensor [K,4] corners as fractions of the network's image
---@param height integer of the image, in pixels
---@param width integer
---@param options? {fit?: "stretch"|"letterbox", size?: integer|integer[], clip?: boolean} fit: how the image became the network's, default "stretch": each side by itself; "letterbox": in its proportion, in the middle, as darknet does; size: of the network's image, {height, width} or both as one, which "letterbox" needs; clip: what is outside the image is cut off, default true; boxes that are all outside have no area then
---@return Tensor [K,4] corners
function lx.vision.boxes.to_image(b, height, width, options) end

return lx
