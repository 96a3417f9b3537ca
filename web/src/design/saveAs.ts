/** Have the browser save some bytes as a file. */
export function saveAs(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  // The browser has begun to read when the click returns; it needs the URL no longer than that.
  setTimeout(() => URL.revokeObjectURL(url));
}
