import { describe, expect, it } from "vitest";
import { rowsOfCsv } from "./csv";

describe("the rows of a CSV text", () => {
  it("end at line breaks of any kind, the last with the text", () => {
    const rows = [
      ["a", "b"],
      ["1", "2"],
    ];
    for (const text of ["a,b\n1,2", "a,b\r\n1,2\r\n", "a,b\r1,2\n"]) expect(rowsOfCsv(text, 9)).toEqual(rows);
    expect(rowsOfCsv("", 9)).toEqual([]);
  });

  it("have fields in quotes, with commas, line breaks and quotes inside", () => {
    expect(rowsOfCsv('"a,b","say ""hi""\nthere",c\n"",x,', 9)).toEqual([
      ["a,b", 'say "hi"\nthere', "c"],
      ["", "x", ""],
    ]);
  });

  it("may have empty fields at their beginning and end", () => {
    expect(rowsOfCsv(",a,\n,,", 9)).toEqual([
      ["", "a", ""],
      ["", "", ""],
    ]);
  });

  it("are no more than are asked for", () => {
    expect(rowsOfCsv("1\n2\n3\n", 2)).toEqual([["1"], ["2"]]);
  });
});
