// Folders dropped on the page: their files, and one ZIP (stored, not compressed) to send them in.

async function filesOf(entry: FileSystemEntry, path: string, found: File[]): Promise<void> {
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
    Object.defineProperty(file, "webkitRelativePath", { value: path + entry.name });
    found.push(file);
    return;
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  for (;;) {
    const batch = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (!batch.length) return;
    for (const inner of batch) await filesOf(inner, `${path}${entry.name}/`, found);
  }
}

export async function readDropped(data: DataTransfer | null): Promise<File[]> {
  if (!data) return [];
  const entries = [...data.items].map((item) => item.webkitGetAsEntry?.() ?? null);
  if (entries.length === 1 && entries[0]?.isFile) return [...data.files];
  const found: File[] = [];
  for (const entry of entries) if (entry) await filesOf(entry, "", found);
  return found.length ? found : [...data.files];
}

const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  let value = n;
  for (let k = 0; k < 8; k++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value >>> 0;
});

export function crc32(data: Uint8Array): number {
  let value = 0xffffffff;
  for (const byte of data) value = TABLE[(value ^ byte) & 255]! ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}

function header(signature: number, sum: number, size: number, name: Uint8Array, offset: number | null): Uint8Array {
  const central = offset !== null;
  const view = new DataView(new ArrayBuffer(central ? 46 : 30));
  let at = 0;
  const put = (value: number, bytes: 2 | 4) => { if (bytes === 2) view.setUint16(at, value, true); else view.setUint32(at, value, true); at += bytes; };
  put(signature, 4);
  if (central) put(20, 2);
  put(20, 2); put(0x0800, 2); put(0, 2); put(0, 2); put(0x21, 2);
  put(sum, 4); put(size, 4); put(size, 4); put(name.length, 2); put(0, 2);
  if (central) { put(0, 2); put(0, 2); put(0, 2); put(0, 4); put(offset, 4); }
  const whole = new Uint8Array(view.byteLength + name.length);
  whole.set(new Uint8Array(view.buffer));
  whole.set(name, view.byteLength);
  return whole;
}

/** One ZIP of many files with their paths. */
export async function zipFiles(files: readonly File[]): Promise<File> {
  const parts: Uint8Array[] = [];
  const central: Uint8Array[] = [];
  let offset = 0;
  for (const file of files) {
    const name = new TextEncoder().encode(file.webkitRelativePath || file.name);
    const data = new Uint8Array(await file.arrayBuffer());
    const sum = crc32(data);
    const local = header(0x04034b50, sum, data.length, name, null);
    parts.push(local, data);
    central.push(header(0x02014b50, sum, data.length, name, offset));
    offset += local.length + data.length;
  }
  const size = central.reduce((total, one) => total + one.length, 0);
  const end = new DataView(new ArrayBuffer(22));
  end.setUint32(0, 0x06054b50, true);
  end.setUint16(8, files.length, true);
  end.setUint16(10, files.length, true);
  end.setUint32(12, size, true);
  end.setUint32(16, offset, true);
  const top = files[0]?.webkitRelativePath.split("/")[0] || "import";
  return new File([...parts, ...central, new Uint8Array(end.buffer)] as BlobPart[], `${top}.zip`, { type: "application/zip" });
}
