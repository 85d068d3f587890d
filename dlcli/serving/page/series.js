// Numbers as people paste them: lines of a table, or JSON.

const MISSING = ["", "nan", "na", "null"]; // which are sent as null

export function parseSeries(text) {
  const trimmed = text.trim();
  if (trimmed.startsWith("[")) {
    try {
      return JSON.parse(trimmed);
    } catch {
      throw new Error("This is not valid JSON.");
    }
  }
  const lines = trimmed.split(/\r?\n/).map((line) => line.trim()).filter((line) => line);
  const haveEnds = lines.length > 1 && lines.every((line) => /[,;]$/.test(line)); // as in a list over several lines
  return lines.map((line, i) => {
    const cells = (haveEnds ? line.slice(0, -1) : line).split(/\s*[,;\t]\s*|\s+/);
    const numbers = cells.map((cell) => (MISSING.includes(cell.toLowerCase()) ? null : Number(cell)));
    const wrong = numbers.findIndex((value) => value !== null && !Number.isFinite(value));
    if (wrong >= 0) throw new Error(`Line ${i + 1}: expected numbers separated by commas. Received "${cells[wrong]}".`);
    return numbers;
  });
}
