import { expect, test } from "vitest";
import { complaintsAbout, emptyDraft, type FormField, valuesOf } from "./fields";

const field = (type: FormField["type"], more: Partial<FormField> = {}): FormField => ({
  ...{ type, name: "it", label: "It" },
  ...more,
});

const ABC = [{ value: "a", label: "A" }];

test.each([
  ["a text that is missing", field("text", { required: true }), "", true],
  ["a text that may be missing", field("text", { minLength: 3 }), "", false],
  ["a text that is too short", field("text", { minLength: 3 }), "ab", true],
  ["a text of three code points", field("text", { maxLength: 3 }), "😀😀😀", false],
  ["a text of another form", field("text", { pattern: "[a-z]+" }), "ab1", true],
  ["a pattern that only the server reads", field("text", { pattern: "(?P<x>a)" }), "a", false],
  ["an address", field("email"), "a@b", false],
  ["an address with a space", field("email"), "a @b", true],
  ["a URL", field("url"), "https://example.com/a?b", false],
  ["a URL without a host", field("url"), "mailto:a@b", true],
  ["a number", field("number", { min: 1, max: 9 }), "9", false],
  ["a number that is too large", field("number", { max: 9 }), "9.5", true],
  ["no number", field("number"), "nine", true],
  ["an option", field("select", { options: ABC }), "a", false],
  ["no option", field("radio", { options: ABC, required: true }), "", true],
  ["a no", field("confirm", { required: true }), false, false],
  ["neither yes nor no", field("confirm", { required: true }), null, true],
])("%s", (_, one, said, complains) => {
  const found = complaintsAbout([one], valuesOf([one], { it: said }));
  expect("it" in found).toBe(complains);
});

test("a form begins with what its fields say, and sends nothing for what is left empty", () => {
  const fields = [
    field("number", { name: "n" }),
    field("checkbox", { name: "c" }),
    field("confirm", { name: "y" }),
    field("text", { name: "t", defaultValue: "x" }),
  ];
  expect(valuesOf(fields, emptyDraft(fields))).toEqual({ n: null, c: false, y: null, t: "x" });
});
