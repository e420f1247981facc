"""Makes the template of `dvc plots show`, a page that includes Vega and so works without a network."""

import subprocess
from pathlib import Path

import vl_convert

PAGE = Path(".dvc/plots/page.html")
HTML = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
{refresh_tag}
<title>digitline</title>
<style>
body { margin: 2rem; background: #fff; color: #222; font-family: system-ui, sans-serif; }
body > div { margin-bottom: 3rem; overflow-x: auto; }
img { max-width: 100%; }
</style>
<script>BUNDLE</script>
</head>
<body>
{plot_divs}
</body>
</html>
"""


def main() -> None:
    bundle = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;").replace("</script", "<\\/script")
    PAGE.write_text(HTML.replace("BUNDLE", bundle))
    # In this clone's own settings, so that DVC's default page works in clones without this one.
    subprocess.run(["dvc", "config", "--local", "plots.html_template", "plots/page.html"], check=True)


if __name__ == "__main__":
    main()
