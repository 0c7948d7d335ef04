// A Studio for anywidget, after the files that `mount` it; pages without a kernel do
// without this one.

/**
 * For anywidget: Python sends the data when the page asks for them, since a notebook would
 * keep what is in the widget's state, weights and all.
 */
export default {
  render({ model, el }) {
    const place = node("div");
    el.append(place);
    let close = null;
    const hear = ({ kind, data, caption }) => {
      if (kind !== "data" || close) return;
      close = mount(place, data, (message) => model.send(message));
      if (caption) el.append(node("p", {}, caption));
    };
    model.on("msg:custom", hear);
    model.send({ kind: "ready" });
    return () => {
      model.off("msg:custom", hear);
      close?.();
    };
  },
};
