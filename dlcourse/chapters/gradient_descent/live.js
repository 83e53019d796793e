// Gradient descent on the bowl (a x^2 + b y^2) / 2. The same operations in the same order as in
// the Python package, so that both give the same numbers to the last bit.
export function descend(curvatures, start, stepSize, nSteps) {
  const path = [start];
  for (let k = 0; k < nSteps; k++) {
    path.push(path[k].map((x, i) => x - stepSize * (curvatures[i] * x)));
  }
  return path;
}

export const loss = ([a, b], [x, y]) => (x * (a * x) + y * (b * y)) / 2;

// Three digits, as a reader reads them.
export const number = (x) => (x >= 1e-3 && x < 1e3 ? x.toPrecision(3) : x.toExponential(2));

// The path in pixels up to the first point outside the picture.
export function pixels(path, { unit, width, height }) {
  const round = (x) => Math.floor(x * 10 + 0.5) / 10;
  const points = path.map(([x, y]) => [round(width / 2 + unit * x), round(height / 2 - unit * y)]);
  const isInside = ([x, y]) => x >= 0 && x <= width && y >= 0 && y <= height;
  const left = points.findIndex((point) => !isInside(point));
  return left < 0 ? points : points.slice(0, left + 1);
}

export function show(root, parameters) {
  const { curvatures, start, nSteps, limit, verdicts } = parameters;
  const part = (name) => root.querySelector(`[data-part="${name}"]`);
  const slider = root.querySelector("input");
  const draw = () => {
    const stepSize = (slider.value * limit) / 100;
    root.path = descend(curvatures, start, stepSize, nSteps);
    const points = pixels(root.path, parameters);
    part("line").setAttribute("d", "M" + points.join("L"));
    part("dots").setAttribute("d", points.map((point) => `M${point}h0`).join(""));
    const readout = `step size ${number(stepSize)}`;
    root.querySelector("output").textContent = readout;
    slider.setAttribute("aria-valuetext", `${slider.value} percent, ${readout}`);
  };
  const tell = () => {
    part("loss").textContent = number(loss(curvatures, root.path[nSteps]));
    part("verdict").textContent = verdicts[1 + Math.sign(slider.value - 100)];
  };
  let waiting;
  slider.addEventListener("input", () => {
    draw();
    clearTimeout(waiting); // a screen reader reads the sentence once the slider rests
    waiting = setTimeout(tell, 200);
  });
  slider.disabled = false;
  draw();
}
