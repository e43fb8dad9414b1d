//! Rows of comma-separated values (RFC 4180) that spreadsheets may open.
//!
//! A spreadsheet takes a cell that begins with one of some characters for a formula, and a file's name is whatever a client chose. So
//! such a cell begins with an apostrophe here, which spreadsheets take for "this is text" (OWASP, "CSV Injection").

/// What a formula begins with, also in the width of East Asian characters, which Excel takes for the same.
const FORMULA: [char; 10] = ['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠'];

/// One row with its end.
pub fn row<'a>(cells: impl IntoIterator<Item = &'a str>) -> String {
    let mut row = String::new();
    for (at, cell) in cells.into_iter().enumerate() {
        if at > 0 {
            row.push(',');
        }
        let is_formula = cell.trim_start_matches([' ', '\n']).starts_with(FORMULA);
        let guard = if is_formula { "'" } else { "" };
        if cell.contains([',', '"', '\r', '\n', ';', '\t']) {
            row.push('"');
            row.push_str(guard);
            row.push_str(&cell.replace('"', "\"\""));
            row.push('"');
        } else {
            row.push_str(guard);
            row.push_str(cell);
        }
    }
    row.push_str("\r\n");
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_where_they_must_be() {
        assert_eq!(row(["a", "", "b c"]), "a,,b c\r\n");
        assert_eq!(row(["a,b", "say \"x\"", "two\nlines"]), "\"a,b\",\"say \"\"x\"\"\",\"two\nlines\"\r\n");
    }

    #[test]
    fn nothing_is_a_formula() {
        for cell in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "\n=1", "＝1"] {
            let made = row([cell]);
            let cell = made.trim_start_matches('"');
            assert!(cell.starts_with('\''), "{made:?}");
        }
        assert_eq!(row(["=HYPERLINK(\"http://x\",\"y\")"]), "\"'=HYPERLINK(\"\"http://x\"\",\"\"y\"\")\"\r\n");
        assert_eq!(row(["/in/=1.txt"]), "/in/=1.txt\r\n");
    }
}
