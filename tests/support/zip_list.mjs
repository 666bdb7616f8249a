// What @zip.js/zip.js makes of an archive: "NAME SIZE SHA256 METHOD" for each entry.
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";

const require = createRequire(new URL("../integration/package.json", import.meta.url));
const zip = require("@zip.js/zip.js");

zip.configure({ useWebWorkers: false });
// A Buffer's slices are no copies, which zip.js takes them for.
const bytes = new Uint8Array(await readFile(process.argv[2]));
const archive = new zip.ZipReader(new zip.Uint8ArrayReader(bytes), {
  checkSignature: true, // the CRC-32
});
for (const entry of await archive.getEntries()) {
  const data = await entry.getData(new zip.Uint8ArrayWriter());
  const digest = createHash("sha256").update(data).digest("hex");
  console.log(entry.filename, data.length, digest, entry.compressionMethod ? "deflated" : "stored");
}
await archive.close();
