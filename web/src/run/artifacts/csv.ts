/** The rows of a CSV text (RFC 4180), at most `most` of them. */
export function rowsOfCsv(text: string, most: number): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  // A field: quoted, or up to the next comma or line break.
  for (const match of text.matchAll(/(?:"((?:[^"]|"")*)"|([^,\r\n]*))(,|\r?\n|\r|$)/g)) {
    const [whole, quoted, plain = "", end = ""] = match;
    if (whole === "" && row.length === 0) break;
    row.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
    if (end === ",") continue;
    rows.push(row);
    row = [];
    if (end === "" || rows.length >= most) break;
  }
  return rows;
}
