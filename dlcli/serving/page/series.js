// Numbers as people paste them: lines of a table, or JSON.

export function parseSeries(text) {
  const trimmed = text.trim();
  if (trimmed.startsWith("[")) {
    try {
      return JSON.parse(trimmed);
    } catch {
      throw new Error("This is not valid JSON.");
    }
  }
  return trimmed.split(/\r?\n/).filter((line) => line.trim()).map((line, i) => {
    const cells = line.trim().split(/[,;\t]\s*|\s+/).filter((cell) => cell !== "");
    const numbers = cells.map(Number);
    const wrong = numbers.findIndex((value) => !Number.isFinite(value));
    if (wrong >= 0) throw new Error(`Line ${i + 1}: expected numbers separated by commas. Received "${cells[wrong]}".`);
    return numbers;
  });
}
