// What the packages of OHIF give back of a case's objects: node cornerstone.js FOLDER_OF_THE_CT FILES...
// Prints one line of JSON for each file: planes (segment, place, values in base64), names, numbers, or what it says.
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { metaData } from "@cornerstonejs/core";
import { adaptersPMAP, adaptersSEG, adaptersSR } from "@cornerstonejs/adapters";
import { data } from "dcmjs";

const WAIT_MS = 20000;
const [folder, ...files] = process.argv.slice(2);
const print = console.log;
console.log = console.warn = () => {}; // the packages tell much of what they read
const { DicomMessage, DicomMetaDictionary } = data;

const bytes = path => {
  const file = readFileSync(path);
  return file.buffer.slice(file.byteOffset, file.byteOffset + file.length);
};
const read = path => {
  const { dict, meta } = DicomMessage.readFile(bytes(path));
  return Object.assign(DicomMetaDictionary.naturalizeDataset(dict), { _meta: DicomMetaDictionary.namifyDataset(meta) });
};
const list = one => (one === undefined ? [] : Array.isArray(one) ? one : [one]);

const along = ({ ImageOrientationPatient: o, ImagePositionPatient: p }) =>
  p[0] * (o[1] * o[5] - o[2] * o[4]) + p[1] * (o[2] * o[3] - o[0] * o[5]) + p[2] * (o[0] * o[4] - o[1] * o[3]);
const ct = readdirSync(folder).map(name => read(join(folder, name)));
const images = ct.filter(one => one.Modality === "CT").sort((a, b) => along(a) - along(b));
const byId = new Map(images.map(one => [`ct:${one.SOPInstanceUID}`, one]));
const ids = [...byId.keys()];
metaData.addProvider((kind, id) => {
  const one = byId.get(id);
  const { Rows: rows, Columns: columns, ImageOrientationPatient: turned, PixelSpacing: spacing } = one ?? {};
  return one && {
    instance: one,
    generalImageModule: { sopInstanceUID: one.SOPInstanceUID },
    generalSeriesModule: { seriesInstanceUID: one.SeriesInstanceUID, modality: "CT" },
    imagePixelModule: { rows, columns, bitsAllocated: 16, bitsStored: 16, highBit: 15, samplesPerPixel: 1,
      photometricInterpretation: "MONOCHROME2", pixelRepresentation: one.PixelRepresentation },
    imagePlaneModule: { rows, columns, rowPixelSpacing: spacing[0], columnPixelSpacing: spacing[1],
      imageOrientationPatient: turned, rowCosines: turned.slice(0, 3), columnCosines: turned.slice(3),
      imagePositionPatient: one.ImagePositionPatient, frameOfReferenceUID: one.FrameOfReferenceUID },
  }[kind];
});

const plane = (n, values, segment) => ({ segment, position: images[n].ImagePositionPatient, rows: images[n].Rows,
  orientation: images[n].ImageOrientationPatient, spacing: images[n].PixelSpacing,
  values: Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString("base64") });

async function segmentation(path) {
  const { createFromDICOMSegBuffer } = adaptersSEG.Cornerstone3D.Segmentation;
  const found = await createFromDICOMSegBuffer(ids, bytes(path), { metadataProvider: metaData });
  const names = Object.fromEntries(found.segMetadata.data.flatMap((one, n) => (one ? [[n, one.SegmentLabel]] : [])));
  const planes = found.labelMapImages.flatMap(group => group.flatMap((image, n) => {
    const values = image.getPixelData();
    return [...new Set(values)].filter(Boolean).map(s => plane(n, Uint8Array.from(values, one => one === s), s));
  }));
  return { names, planes };
}

async function map(path) {
  const found = await adaptersPMAP.Cornerstone3D.ParametricMap.generateToolState(ids, bytes(path), metaData);
  const size = found.pixelData.length / ids.length;
  return { planes: ids.map((_, n) => plane(n, Float32Array.from(found.pixelData.subarray(n * size, (n + 1) * size)), 0)) };
}

function report(path) {
  const ds = read(path);
  const below = item => list(item.ContentSequence).flatMap(one => [one, ...below(one)]);
  const numbers = below(ds).filter(one => one.ValueType === "NUM");
  const byImage = Object.fromEntries(images.map(one => [`${one.SOPInstanceUID}:1`, `ct:${one.SOPInstanceUID}`]));
  const drawn = adaptersSR.Cornerstone3D.MeasurementReport.generateToolState(ds, byImage, metaData, {});
  return { numbers: numbers.map(one => Number(list(one.MeasuredValueSequence)[0].NumericValue)),
    annotations: Object.values(drawn).flat().length };
}

const limited = found => {
  let timer;
  const late = new Promise((_, refuse) => (timer = setTimeout(refuse, WAIT_MS, new Error("no answer"))));
  return Promise.race([found, late]).finally(() => clearTimeout(timer));
};
async function main() {
  for (const path of files) {
    const open = { SEG: segmentation, SR: report }[read(path).Modality] ?? map;
    try {
      print(JSON.stringify(await limited(open(path))));
    } catch (error) {
      print(JSON.stringify({ refusal: String(error.message ?? error) }));
    }
  }
}
main();
